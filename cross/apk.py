#!/usr/bin/env python3
"""Writes a package of apk (version 3, ADB format), for machines without `apk mkpkg`.

    cross/apk.py FILES OUTPUT key=value... script:WHEN=FILE...

FILES is the tree as it is installed; everything in it belongs to root. Keys: name, version, description, arch, license,
origin, depends (words). WHEN: post-install, pre-deinstall, post-upgrade. The time of all files is SOURCE_DATE_EPOCH.

A database of values that point to each other, then one block per file. A value is a word of 32 bits, little-endian: the
kind in the upper four bits; below them the value, or where it stands. Signatures are left out: `apk add
--allow-untrusted`, or sign the repository.
"""

import hashlib
import os
import stat
import struct
import sys
import zlib

SCHEMA_PACKAGE = 0x676B6370
INT, INT_32, BLOB_8, BLOB_16, BLOB_32, ARRAY, OBJECT = (kind << 28 for kind in (1, 2, 8, 9, 10, 13, 14))
BLOCK_ADB, BLOCK_DATA = 0, 2
# The slots of each kind of object.
INFO = ["name", "version", "hashes", "description", "arch", "license", "origin", "maintainer", "url", "commit", "time"]
INFO += ["installed-size", "file-size", "priority", "depends"]
SCRIPTS = ["trigger", "pre-install", "post-install", "pre-deinstall", "post-deinstall", "pre-upgrade", "post-upgrade"]
NOTHING = 0


class Database:
    """Values, each written once."""

    def __init__(self):
        self.bytes = bytearray(8)
        self.known = {}

    def put(self, data, align, once=True):
        if once and (data, align) in self.known:
            return self.known[data, align]
        self.bytes += bytes(-len(self.bytes) % align)
        at = len(self.bytes)
        self.bytes += data
        if once:
            self.known[data, align] = at
        return at

    def integer(self, value):
        if value < 1 << 28:
            return INT | value
        return INT_32 | self.put(struct.pack("<I", value), 4)

    def blob(self, data, once=True):
        data = data.encode() if isinstance(data, str) else bytes(data)
        if not data:
            return NOTHING
        if len(data) < 1 << 8:
            kind, length, align = BLOB_8, "<B", 1
        elif len(data) < 1 << 16:
            kind, length, align = BLOB_16, "<H", 2
        else:
            kind, length, align = BLOB_32, "<I", 4
        return kind | self.put(struct.pack(length, len(data)) + data, align, once)

    def slots(self, kind, values):
        values = list(values)
        while values and values[-1] == NOTHING:
            values.pop()
        if not values:
            return NOTHING
        return kind | self.put(struct.pack(f"<{len(values) + 1}I", len(values) + 1, *values), 4)

    def object(self, *values):
        return self.slots(OBJECT, values)

    def array(self, values):
        return self.slots(ARRAY, values)

    def root(self, value):
        struct.pack_into("<BBHI", self.bytes, 0, 0, 0, 0, value)


def folders(root):
    """(name, mode, files) of every folder, by name; files are (name, mode, content)."""
    found = []
    for path, names, files in os.walk(root):
        names.sort()
        name = os.path.relpath(path, root)
        contents = []
        for file in sorted(files):
            full = os.path.join(path, file)
            mode = os.lstat(full).st_mode
            if not stat.S_ISREG(mode):
                sys.exit(f"apk.py: {full} is no ordinary file")
            with open(full, "rb") as opened:
                contents.append((file, mode & 0o7777, opened.read()))
        found.append(("" if name == "." else name, os.lstat(path).st_mode & 0o7777, contents))
    return sorted(found)


def package(root, fields, scripts, epoch):
    database = Database()
    paths = folders(root)

    def access(mode):
        return database.object(database.integer(mode), database.blob("root"), database.blob("root"))

    def file(name, mode, content):
        digest = hashlib.sha256(content).digest()
        return database.object(database.blob(name), access(mode), database.integer(len(content)),
                               database.integer(epoch), database.blob(digest))

    def folder(name, mode, contents):
        return database.object(database.blob(name), access(mode), database.array(file(*one) for one in contents))

    identity = database.blob(bytes(20), once=False)
    values = {name: database.blob(text) for name, text in fields.items() if name != "depends"}
    values["hashes"] = identity
    values["installed-size"] = database.integer(sum(len(content) for *_, files in paths for *_, content in files))
    depends = sorted(fields.get("depends", "").split())
    values["depends"] = database.array(database.object(database.blob(name)) for name in depends)
    database.root(database.object(
        database.object(*(values.get(name, NOTHING) for name in INFO)),
        database.array(folder(*one) for one in paths),
        database.object(*(database.blob(scripts.get(name, b"")) for name in SCRIPTS)),
    ))
    # The package is known by the digest of its own description.
    at = (identity & 0x0FFFFFFF) + 1
    database.bytes[at:at + 20] = hashlib.sha256(database.bytes).digest()[:20]

    parts = [b"ADB.", struct.pack("<I", SCHEMA_PACKAGE), block(BLOCK_ADB, bytes(database.bytes))]
    for number, (_, _, contents) in enumerate(paths, 1):
        for place, (_, _, content) in enumerate(contents, 1):
            if content:
                parts.append(block(BLOCK_DATA, struct.pack("<II", number, place) + content))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"ADBd" + deflate.compress(b"".join(parts)) + deflate.flush()


def block(kind, data):
    size = 4 + len(data)
    return struct.pack("<I", kind << 30 | size) + data + bytes(-size % 8)


def main():
    root, output, *given = sys.argv[1:]
    fields, scripts = {}, {}
    for pair in given:
        name, value = pair.split("=", 1)
        if name.startswith("script:"):
            with open(value, "rb") as opened:
                scripts[name.removeprefix("script:")] = opened.read()
        else:
            fields[name] = value
    unknown = (fields.keys() - set(INFO)) | (scripts.keys() - set(SCRIPTS))
    if unknown:
        sys.exit(f"apk.py: unknown: {' '.join(sorted(unknown))}")
    with open(output, "wb") as opened:
        opened.write(package(root, fields, scripts, int(os.environ["SOURCE_DATE_EPOCH"])))


main()
