"""Another argon2: the password is the first line of the input; `hash` prints its hash, `verify` checks the second line's."""

import sys

import argon2

password, *rest = sys.stdin.read().splitlines()
if sys.argv[1] == "hash":
    memory, passes, lanes = map(int, sys.argv[2:5])
    print(argon2.PasswordHasher(time_cost=passes, memory_cost=memory, parallelism=lanes).hash(password))
elif sys.argv[1] == "verify":
    try:
        print(argon2.PasswordHasher().verify(rest[0], password))
    except argon2.exceptions.VerifyMismatchError:
        print(False)
else:
    sys.exit(f"unknown: {sys.argv[1]}")
