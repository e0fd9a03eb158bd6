for n in 3 2 1; do
    echo "$n"
done
echo lift-off
