"""Zip archives of pictures: what is in one, checked before anything is unpacked, and a new one of answers.

Format: APPNOTE.TXT of PKWARE. An archive may lie: about its number of files, their sizes, their names.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple

from denoise.errors import BrokenBody, TooLarge, UnsupportedKind

# An archive begins with its first file, or, when it is empty, with its end.
BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06")
END, END_64 = b"PK\x05\x06", b"PK\x06\x07"
END_BYTES, LONGEST_COMMENT = 22, 65_535
LONGEST_ENTRY_BYTES = 1024
# Pictures are packed already, so files of more than SMALL_FILE bytes do not unpack to more times their size.
MOST_RATIO = 200
SMALL_FILE = 1024 * 1024
START_BYTES = 16
# What zipfile raises for a file that it cannot unpack; NotImplementedError is a RuntimeError.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error)
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What file managers put beside the files.
LITTER = {"thumbs.db", "desktop.ini"}
LITTER_STARTS, LITTER_FOLDER = ("._", ".ds_store"), "__macosx"
ARCHIVES = {".zip", ".jar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"}
# Some file system or other does not allow these in a name.
NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/]')
DRIVE = re.compile(r"[A-Za-z]:")
LONGEST_NAME = 120
# These are bits of a file's flags, the kind of an extra field, and what stands before a field's content.
ENCRYPTED, UTF_8, UNICODE_PATH, EXTRA_HEAD = 1, 0x800, 0x7075, struct.Struct("<HH")
# In DOS's code page (437) letters with accents lie side by side, and few others among them.
FIRST_HIGH, DOS_LETTERS, BACKSLASH = 0x80, {*range(0x80, 0xA6), *"ß".encode("cp437")}, ord("\\")
HIGH_OR_BACKSLASH = re.compile(rb"[\x80-\xff\\]")
# Unzip looks for permissions in the upper half of the external attributes.
READABLE = 0o644 << 16


class File(NamedTuple):
    """A file that was sent, alone or among others.

    Attributes:
        name: the sender's.
        size: bytes at most that `read` has to go through.
        sent: bytes that it took in the request, packed.
        read: gives its content; raises RequestError.
        start: gives its first bytes, or none where it cannot be read.
    """

    name: str
    size: int
    sent: int
    read: Callable[[], bytes]
    start: Callable[[], bytes]


def in_memory(name: str, content: bytes) -> File:
    """A file that came as it is."""
    return File(name, len(content), len(content), partial(bytes, content), partial(bytes, content[:START_BYTES]))


def is_archive(content: bytes) -> bool:
    """Whether it begins as a zip does."""
    return content.startswith(BEGINNINGS)


def files(content: bytes, most_files: int, most_bytes: int) -> list[File]:
    """The files in an archive; each is unpacked when it is read.

    Raises:
        TooLarge: more than `most_files`, or more than `most_bytes` when unpacked.
        BrokenBody: it is damaged or empty, or has a file whose name leads out of it.
    """
    _check_directory(content, most_files)
    try:  # Damage raises exceptions of several kinds.
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise BrokenBody(f"The zip cannot be read: {error}.") from None
    paths = [(info, PurePosixPath(_name(info).replace("\\", "/"))) for info in archive.infolist()]
    found = {info: path for info, path in paths if not (info.is_dir() or _is_left_out(path))}
    if not found:
        raise BrokenBody("The zip holds no files.")
    if len(found) > most_files:
        raise TooLarge(f"The zip has {len(found):,} files; at most {most_files:,} are taken.")
    whole = sum(info.file_size for info in found)
    if whole > most_bytes:
        raise TooLarge(f"The zip has {whole:,} bytes when unpacked; at most {most_bytes:,} are taken.")
    packed = sum(info.compress_size for info in found)
    if packed > len(content):
        raise BrokenBody(f"The zip's files take {packed:,} bytes, and it has {len(content):,}: they share them.")
    for info, path in found.items():
        if path.is_absolute() or ".." in path.parts or DRIVE.fullmatch(path.parts[0]):
            raise BrokenBody(f"The zip has a file named '{info.filename[:100]}', which leads out of it.")
    return [
        File(
            str(path),
            max(info.file_size, info.compress_size),
            info.compress_size,
            _reader(archive, info, path),
            partial(_start, archive, info),
        )
        for info, path in found.items()
    ]


def pack(contents: Iterable[tuple[str, bytes]]) -> bytes:
    """An archive of files by name; the same bytes for the same files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:  # Pictures are packed already, so they are stored.
        for name, content in contents:
            info = zipfile.ZipInfo(name)
            info.external_attr = READABLE
            archive.writestr(info, content)
    return target.getvalue()


def names(sent: Sequence[str], suffix: str) -> list[str]:
    """Names for answers to files of these names: of the same folders, safe everywhere, no two alike."""
    taken: set[str] = set()
    given = []
    for number, name in enumerate(sent, 1):
        path = PurePosixPath(name.replace("\\", "/"))
        parts = [NOT_IN_NAMES.sub("_", part)[:LONGEST_NAME].strip(". ") for part in (*path.parent.parts, path.stem)]
        base = "/".join(part for part in parts if part.strip("_")) or f"picture-{number}"
        answer, again = f"{base}{suffix}", 1
        while answer.lower() in taken:
            again += 1
            answer = f"{base}-{again}{suffix}"
        taken |= {answer.lower(), *(str(folder).lower() for folder in PurePosixPath(answer).parents)}
        given.append(answer)
    return given


def _check_directory(content: bytes, most_files: int) -> None:
    """Before a directory of a hundred thousand files is read."""
    end = content.rfind(END, max(0, len(content) - END_BYTES - LONGEST_COMMENT))
    if end < 0 or len(content) < end + END_BYTES:
        raise BrokenBody("The zip is cut: its directory is missing.")
    if END_64 in content[max(0, end - END_BYTES) : end]:
        raise BrokenBody("The zip is of the kind for more than 4 GB, which is not taken.")
    count, size = struct.unpack_from("<HI", content, end + 10)
    if count > most_files and size > most_files * LONGEST_ENTRY_BYTES:
        raise TooLarge(f"The zip has {count:,} files; at most {most_files:,} are taken.")
    if size > 2 * most_files * LONGEST_ENTRY_BYTES:
        raise TooLarge(f"The zip's directory has {size:,} bytes, more than {most_files:,} files need.")


def _name(info: zipfile.ZipInfo) -> str:
    """A file's name, by its Unicode path field, or by being UTF-8, flagged as such or not.

    Of any other kind of text only that of DOS is told from it, by having letters alone; what is not known is "_".
    """
    if info.flag_bits & UTF_8:
        return info.filename
    raw = info.orig_filename.encode("cp437", "replace")
    try:
        return _unicode_path(info.extra, raw) or raw.decode()
    except UnicodeDecodeError:
        dos = all(byte < FIRST_HIGH or byte in DOS_LETTERS for byte in raw) and BACKSLASH not in raw
        return raw.decode("cp437") if dos else HIGH_OR_BACKSLASH.sub(b"_", raw).decode("ascii")


def _unicode_path(extra: bytes, name: bytes) -> str:
    """The name in Info-ZIP's extra field; "" where there is none for this name. Raises UnicodeDecodeError."""
    at = 0
    while at + EXTRA_HEAD.size <= len(extra):
        kind, size = EXTRA_HEAD.unpack_from(extra, at)
        at += EXTRA_HEAD.size + size
        content = extra[at - size : at]
        if kind == UNICODE_PATH and content[1:5] == struct.pack("<I", zlib.crc32(name)):
            return content[5:].decode()
    return ""


def _is_left_out(path: PurePosixPath) -> bool:
    """What has no name, and what file managers put beside the files."""
    parts = [part.lower() for part in path.parts]
    return not parts or LITTER_FOLDER in parts or parts[-1] in LITTER or parts[-1].startswith(LITTER_STARTS)


def _start(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as file:
            return file.read(START_BYTES)
    except DAMAGE:  # It is told when the file is read.
        return b""


def _reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: PurePosixPath) -> Callable[[], bytes]:
    name = path.name[:100]

    def read() -> bytes:
        if path.suffix.lower() in ARCHIVES:
            raise UnsupportedKind(f"'{name}' is an archive inside the zip; pictures alone are taken.")
        if info.file_size > SMALL_FILE and info.file_size > MOST_RATIO * info.compress_size:
            ratio = info.file_size / max(1, info.compress_size)
            raise TooLarge(f"'{name}' unpacks to {ratio:,.0f} times its size, more than {MOST_RATIO}.")
        if info.flag_bits & ENCRYPTED or info.compress_type not in METHODS:
            raise BrokenBody(f"'{name}' is encrypted, or packed in a way that is not taken.")
        try:
            return archive.read(info)  # It reads no more than the size that is declared, and checks the checksum.
        except DAMAGE as error:
            raise BrokenBody(f"'{name}' is damaged in the zip: {error}.") from None

    return read
