"""A form's parts (RFC 7578), read where the body lies, in memory. Knows python_multipart."""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from denoise.errors import BrokenBody, TooLarge, UnsupportedKind

# Each of these is read in linear time; few write any but the first.
CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii", "latin-1", "latin1", "iso-8859-1"}
FILE = "file"
MOST_FIELDS = 100
LONGEST_FIELD_BYTES = 64 * 1024


@dataclass
class Part:
    """A part of a form: a file, or a field's text.

    Attributes:
        filename: None where the part tells none.
    """

    name: str = ""
    filename: str | None = None
    chunks: list[memoryview] = field(default_factory=list)

    @property
    def is_file(self) -> bool:
        """Whether it holds a file; programs leave out the filename of a picture that has none."""
        return self.filename is not None or self.name == FILE

    @property
    def content(self) -> bytes:
        """What it holds."""
        return b"".join(self.chunks)


def parse(content_type: str, body: bytes, most_files: int) -> list[Part]:
    """The parts of a form in their order.

    Raises:
        UnsupportedKind: it is in a charset that is not taken.
        TooLarge: it has more files than `most_files`.
        BrokenBody: it cannot be read.
    """
    _, options = parse_options_header(content_type)
    charset = options.get(b"charset", b"utf-8").decode("latin-1").lower()
    if charset not in CHARSETS:
        raise UnsupportedKind(f"A form in the charset {charset[:100]} is not taken; utf-8 and latin-1 are.")
    if b"boundary" not in options:
        raise BrokenBody("The form cannot be read: Missing boundary in multipart.")
    form = _Form(charset, most_files)
    try:
        form.read(options[b"boundary"], body)
    except FormParserError as error:
        raise BrokenBody(f"The form cannot be read: {error}.") from None
    return form.parts


class _Form:
    """Takes what the parser finds."""

    def __init__(self, charset: str, most_files: int) -> None:
        self.parts: list[Part] = []
        self._charset, self._most_files = charset, most_files
        self._name = self._value = b""

    def read(self, boundary: bytes, body: bytes) -> None:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": lambda: self.parts.append(Part()),
                "on_part_data": self._add_data,
                "on_part_end": self._check,
                "on_header_field": self._add_name,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
            },
        )
        parser.write(body)
        parser.finalize()

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].chunks.append(memoryview(data)[start:end])

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            part = self.parts[-1]
            part.name = decode(options.get(b"name", b""), self._charset)
            part.filename = decode(options[b"filename"], self._charset) if b"filename" in options else None
        self._name = self._value = b""

    def _check(self) -> None:
        files = sum(part.is_file for part in self.parts)
        if files > self._most_files:
            raise TooLarge(f"The form has too many files; at most {self._most_files:,} are taken.")
        if len(self.parts) - files > MOST_FIELDS:
            raise BrokenBody(f"The form has more than {MOST_FIELDS} fields.")
        part = self.parts[-1]
        if not part.is_file and sum(map(len, part.chunks)) > LONGEST_FIELD_BYTES:
            raise BrokenBody(f"The field {part.name[:100]} has more than {LONGEST_FIELD_BYTES:,} bytes.")


def decode(text: bytes, charset: str = "utf-8") -> str:
    """A text in a charset of CHARSETS, or in Latin-1 where it is none."""
    try:
        return text.decode(charset)
    except UnicodeDecodeError:
        return text.decode("latin-1")
