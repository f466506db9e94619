"""Zip archives of pictures: what is in one, checked before anything is unpacked, and a new one of answers.

Format: APPNOTE.TXT of PKWARE. An archive may lie: about its number of files, their sizes, their names.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
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
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ARCHIVES = {".zip", ".jar", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"}
# Some file system or other does not allow these in a name.
NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/]')
LONGEST_NAME = 120
# Unzip looks for permissions in the upper half of the external attributes.
READABLE = 0o644 << 16


class File(NamedTuple):
    """A file that was sent, alone or among others.

    Attributes:
        name: the sender's.
        size: bytes at most that `read` has to go through.
        sent: bytes that it took in the request, packed.
        read: gives its content; raises BrokenBody.
    """

    name: str
    size: int
    sent: int
    read: Callable[[], bytes]


def is_archive(content: bytes) -> bool:
    """Whether it begins as a zip does."""
    return content.startswith(BEGINNINGS)


def files(content: bytes, most_files: int, most_bytes: int) -> list[File]:
    """The files in an archive; each is unpacked when it is read.

    Raises:
        TooLarge: more than `most_files`, more than `most_bytes` when unpacked, or packed as no picture can be.
        BrokenBody: it is damaged or empty, or has a file whose name leads out of it.
        UnsupportedKind: there is an archive in it.
    """
    _check_directory(content, most_files)
    try:  # Damage raises exceptions of several kinds.
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise BrokenBody(f"The zip cannot be read: {error}.") from None
    paths = [(info, PurePosixPath(info.filename.replace("\\", "/"))) for info in archive.infolist()]
    found = {info: path for info, path in paths if not (info.is_dir() or _left_out(path))}
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
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise BrokenBody(f"The zip has a file named '{info.filename[:100]}', which leads out of it.")
        if path.suffix.lower() in ARCHIVES:
            raise UnsupportedKind(f"The zip has an archive in it, '{info.filename[:100]}'; pictures alone are taken.")
        if info.file_size > SMALL_FILE and info.file_size > MOST_RATIO * info.compress_size:
            ratio = info.file_size / max(1, info.compress_size)
            raise TooLarge(f"'{path.name[:100]}' unpacks to {ratio:,.0f} times its size, more than {MOST_RATIO}.")
    return [
        File(info.filename, max(info.file_size, info.compress_size), info.compress_size, _reader(archive, info))
        for info in found
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


def _left_out(path: PurePosixPath) -> bool:
    """What has no name, and what file managers put beside the files."""
    parts = path.parts
    return not parts or parts[0] == "__MACOSX" or parts[-1].startswith(("._", ".DS_Store"))


def _reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        if info.flag_bits & 1 or info.compress_type not in METHODS:
            raise BrokenBody(f"'{info.filename[:100]}' is encrypted, or packed in a way that is not taken.")
        try:
            return archive.read(info)  # It reads no more than the size that is declared, and checks the checksum.
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error) as error:
            raise BrokenBody(f"'{info.filename[:100]}' is damaged in the zip: {error}.") from None

    return read
