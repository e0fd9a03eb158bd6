# The classic: every process becomes two, until somebody says no. It ends by itself where forks are refused.
bomb() { bomb | bomb & }
echo "before the bomb"
bomb 2>/dev/null
wait
