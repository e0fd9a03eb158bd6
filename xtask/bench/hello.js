console.log("hello", @SEED@);
