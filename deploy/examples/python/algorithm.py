"""A sample algorithm. The platform calls apply(input) with a str for text, any
JSON value for JSON and bytes for binary; what it returns is the result."""

import hashlib
import os
import sys
import time
import urllib.error
import urllib.request


class AlgorithmError(Exception):
    """An error that callers tell by its type."""

    error_type = "AlgorithmError"


def call(vanity_url, text):
    """Calls another algorithm of the satellite and returns its whole answer."""
    request = urllib.request.Request(
        os.environ["ALGORITHMIA_API"] + "/v1/algo/" + vanity_url,
        data=text.encode(),
        headers={"Authorization": "Simple " + os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "text/plain"},
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


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
    if "call" in input:
        return call(input["call"], input.get("with", ""))
    if "raise" in input:
        raise AlgorithmError(input["raise"])
    if "exit" in input:
        sys.exit(input["exit"])
    if "allocate_mib" in input:
        return len(bytearray(b"x" * (input["allocate_mib"] << 20)))
    if "env" in input:
        return {name: os.environ.get(name) for name in input["env"]}
    if "write" in input:
        with open(input["write"], "w") as file:
            return {"written": file.write(input["text"])}
    if "room" in input:
        disk = os.statvfs(input["room"])
        return {"bytes": disk.f_blocks * disk.f_frsize}
    if "read" in input:
        with open(input["read"], "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"sha256": digest, "writable": os.access(input["read"], os.W_OK)}
    if "add" in input:
        return {"sum": sum(input["add"])}
    return input
