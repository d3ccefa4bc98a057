"""The authenticator's side of TOTP: `code <secret> <unix seconds> [digits]`, or `read <otpauth URI> <unix seconds>`."""

import sys

import pyotp

how, what, at = sys.argv[1:4]
if how == "code":
    digits = int(sys.argv[4]) if len(sys.argv) > 4 else 6
    print(pyotp.TOTP(what, digits=digits).at(int(at)))
elif how == "read":
    totp = pyotp.parse_uri(what)
    print(totp.issuer, totp.name, totp.interval, totp.digits, totp.digest().name, totp.at(int(at)), sep="\n")
else:
    sys.exit(f"unknown: {how}")
