"""Another zip reader: tests an archive and prints, as JSON, each file's size and SHA-256."""

import hashlib
import json
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as archive:
    broken = archive.testzip()
    if broken is not None:
        sys.exit(f"broken: {broken}")
    files = {}
    for entry in archive.infolist():
        data = archive.read(entry)
        files[entry.filename] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    print(json.dumps(files))
