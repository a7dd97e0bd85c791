"""A sample algorithm. The platform calls apply(input) with a str for text, any
JSON value for JSON and bytes for binary; what it returns is the result."""

import hashlib
import sys
import time


class AlgorithmError(Exception):
    """An error that callers tell by its type."""

    error_type = "AlgorithmError"


def apply(input):
    if isinstance(input, bytes):
        return hashlib.sha256(input).digest()
    if isinstance(input, str):
        return "Hello " + input
    if "print" in input:
        print(input["print"])
    if "warn" in input:
        print(input["warn"], file=sys.stderr)
    if "sleep" in input:
        time.sleep(input["sleep"])
    if "raise" in input:
        raise AlgorithmError(input["raise"])
    if "exit" in input:
        sys.exit(input["exit"])
    if "allocate_mib" in input:
        return len(bytearray(b"x" * (input["allocate_mib"] << 20)))
    if "add" in input:
        return {"sum": sum(input["add"])}
    return input
