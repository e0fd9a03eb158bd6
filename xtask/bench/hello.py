print("hello", @SEED@)
