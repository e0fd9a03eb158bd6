def primes(limit):
    """The sieve of Eratosthenes."""
    composite = set()
    for n in range(2, limit):
        if n not in composite:
            yield n
            composite.update(range(n * n, limit, n))


print(*primes(30))
