echo "hello @SEED@"
