"""Images, audio, video and documents as cells."""

from __future__ import annotations

import os
import struct
import sys
import zlib
from typing import Any, ClassVar, Protocol, Union, runtime_checkable


@runtime_checkable
class _Readable(Protocol):
    def read(self) -> bytes: ...


Source = Union[bytes, bytearray, memoryview, str, "os.PathLike[str]", _Readable, Any]


class Media:
    """A file in a cell: its bytes or its path.

    The file is uploaded once, even if it is logged several times. A file given by its path is read
    when its row is logged.

    >>> isinstance(Image(b"\\x89PNG....", format="png"), Media)
    True
    """

    __slots__ = ("caption", "data", "format", "path")

    kind: ClassVar[str] = ""

    data: bytes | None
    """The bytes, unless the file is given by its path."""
    path: str | None
    """The absolute path of the file, if it is given by its path."""
    format: str
    """The format, as in the name of a file: ``png``."""
    caption: str | None
    """The text below the media."""

    def __init__(self, source: Source, *, caption: str | None = None, format: str | None = None):
        if type(self) is Media:
            raise TypeError("Media is abstract; make an Image, Audio, Video, Html or Markdown")
        self.data, self.path = None, None
        self.caption = caption
        self._take(source)
        if format is None:
            format = self._guess()
        self.format = format.lower().lstrip(".")

    def _take(self, source: Source) -> None:
        if isinstance(source, (bytes, bytearray, memoryview)):
            self.data = bytes(source)
        elif isinstance(source, (str, os.PathLike)):
            self.path = os.path.abspath(os.fspath(source))
        elif isinstance(source, _Readable):
            data = source.read()
            if not isinstance(data, bytes):
                raise TypeError(f"{self._name()}: open the file in binary mode")
            self.data = data
        else:
            kind = type(source).__qualname__
            raise TypeError(f"{self._name()} takes bytes, a path or an open file, not {kind}")

    def _guess(self) -> str:
        if self.path is not None:
            return os.path.splitext(self.path)[1]
        data = self.data or b""
        for offset, magic, format in _MAGIC:
            if data[offset : offset + len(magic)] == magic:
                return format
        raise ValueError(f"{self._name()}: give the format of these bytes, such as format='wav'")

    @classmethod
    def _name(cls) -> str:
        return cls.__name__

    def __repr__(self) -> str:
        size = f"{len(self.data)} bytes" if self.data is not None else repr(self.path)
        caption = f", caption={self.caption!r}" if self.caption is not None else ""
        return f"{self._name()}({size}, format={self.format!r}{caption})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Media.__slots__)

    __hash__: ClassVar[None]  # type: ignore[assignment]


_MAGIC = [
    (8, b"WAVE", "wav"),
    (0, b"ID3", "mp3"),
    (0, b"\xff\xfb", "mp3"),
    (0, b"OggS", "ogg"),
    (0, b"fLaC", "flac"),
    (4, b"ftyp", "mp4"),
    (0, b"\x1aE\xdf\xa3", "webm"),
    (0, b"GIF8", "gif"),
]


class Image(Media):
    """An image.

    Takes encoded bytes (PNG, JPEG, …), a path, an open file, a PIL image, a figure or axes of
    matplotlib, a ``wandb.Image``, or a NumPy array of height × width (× 1 to 4 channels): integers from 0 to 255,
    or floats from 0 to 1.

    >>> Image(b"\\x89PNG....", caption="a digit", format="png")
    Image(8 bytes, format='png', caption='a digit')
    """

    __slots__ = ()
    kind = "image"
    data: bytes | None

    def _take(self, source: Source) -> None:
        png = _png_of(source)
        if png is not None:
            self.data = png
        else:
            super()._take(source)

    def _guess(self) -> str:
        # Detected from the bytes when the row is logged.
        return "png" if self.path is None else super()._guess()


class Audio(Media):
    """Audio: bytes of a known format, a path, an open file, or a NumPy array with a sample rate.

    An array has the shape samples or samples × channels, of 16-bit integers or floats from -1 to 1.

    >>> table.log({"sound": Audio(samples, sample_rate=16_000)})        # doctest: +SKIP
    """

    __slots__ = ()
    kind = "audio"

    def __init__(
        self,
        source: Source,
        *,
        sample_rate: int | None = None,
        caption: str | None = None,
        format: str | None = None,
    ):
        if _is_array(source):
            if sample_rate is None:
                raise TypeError("Audio of an array needs its sample_rate")
            source = _wav(source, sample_rate)
        super().__init__(source, caption=caption, format=format)


class Video(Media):
    """A video: bytes of a known format, a path, or an open file.

    >>> table.log({"clip": Video("run.mp4", caption="the first run")})  # doctest: +SKIP
    """

    __slots__ = ()
    kind = "video"


class _Document(Media):
    __slots__ = ()
    data: bytes | None

    def _take(self, source: Source) -> None:
        if isinstance(source, str):
            self.data = source.encode()
        else:
            super()._take(source)


class Html(_Document):
    """An HTML document: its text, a ``Path`` to it, or an object with a method ``to_html``, such as a
    figure of plotly, a chart of altair or a frame of pandas.

    >>> Html("<b>7</b>")
    Html(8 bytes, format='html')
    >>> table.log({"figure": Html(figure)})                             # doctest: +SKIP

    A figure of plotly brings its whole library, 4 MB; ``Image(figure.to_image())`` is smaller.
    """

    __slots__ = ()
    kind = "html"

    def _take(self, source: Source) -> None:
        to_html = getattr(source, "to_html", None)
        super()._take(to_html() if callable(to_html) else source)

    def _guess(self) -> str:
        return "html"


class Markdown(_Document):
    """A Markdown document: its text, or a ``Path`` to it.

    >>> Markdown("**7**")
    Markdown(5 bytes, format='md')
    """

    __slots__ = ()
    kind = "markdown"

    def _guess(self) -> str:
        return "md"


def media_of(value: object) -> Media | None:
    """Convert media of other packages; return ``None`` for anything else."""
    if _is_instance(value, "PIL.Image", "Image") or _is_plot(value):
        return Image(value)
    return _of_wandb(value)


def _is_plot(value: object) -> bool:
    """Return whether a value is a figure or axes of matplotlib."""
    return _is_instance(value, "matplotlib.figure", "Figure") or _is_instance(value, "matplotlib.axes", "Axes")


# wandb's media classes have this attribute, and their content is in a file.
_WANDB: dict[str, type[Media]] = {
    "image-file": Image,
    "audio-file": Audio,
    "video-file": Video,
    "html-file": Html,
}


def _of_wandb(value: object) -> Media | None:
    make = _WANDB.get(getattr(type(value), "_log_type", None) or "")
    if make is None:
        return None
    caption = getattr(value, "_caption", None)
    path = getattr(value, "_path", None)
    if path is None and make is Html:
        return Html(str(getattr(value, "html", "")))
    if path is None:
        raise TypeError(f"the {type(value).__qualname__} has no file")
    with open(path, "rb") as file:
        data = file.read()
    return make(data, caption=caption, format=os.path.splitext(path)[1])


def _is_instance(value: object, module: str, name: str) -> bool:
    """Return whether a value is of a module's class, without importing the module."""
    loaded = sys.modules.get(module)
    kind = getattr(loaded, name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _is_array(value: object) -> bool:
    return _is_instance(value, "numpy", "ndarray")


def _png_of(source: Any) -> bytes | None:
    if _is_array(source):
        return _png(source)
    if _is_instance(source, "PIL.Image", "Image"):
        import io

        out = io.BytesIO()
        modes = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
        (source if source.mode in modes else source.convert("RGB")).save(out, "PNG")
        return out.getvalue()
    if _is_plot(source):
        import io

        out = io.BytesIO()
        figure = source if hasattr(source, "savefig") else source.get_figure(root=True)
        # Without version metadata, so that the same figure gives the same file.
        figure.savefig(out, format="png", metadata={"Software": None})
        return out.getvalue()
    of_wandb = _of_wandb(source)
    return None if of_wandb is None else of_wandb.data


def _png(array: Any) -> bytes:
    """Encode an array of pixels as PNG."""
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or 0 in array.shape:
        raise TypeError(f"an image must have the shape height × width (× 1 to 4 channels), not {array.shape}")
    if array.dtype.kind == "b":
        array = array.astype("uint8") * 255
    elif array.dtype.kind == "f":
        array = (array.clip(0, 1) * 255).round()
    elif array.dtype.kind not in "iu":
        raise TypeError(f"an image must consist of numbers, not {array.dtype}")
    elif array.size and (array.min() < 0 or array.max() > 255):
        raise TypeError("an image's integers must be from 0 to 255")
    height, width, channels = array.shape
    lines = array.astype("uint8").tobytes()
    stride = width * channels
    # Each line begins with its filter type; 0 means none.
    raw = b"".join(b"\0" + lines[y * stride : (y + 1) * stride] for y in range(height))
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _wav(array: Any, sample_rate: int) -> bytes:
    """Encode an array of samples as WAV."""
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] == 0:
        raise TypeError(f"audio must have the shape samples (× channels), not {array.shape}")
    if array.dtype.kind == "f":
        array = (array.clip(-1, 1) * 32767).round()
    elif array.dtype.kind not in "iu" or array.dtype.itemsize > 2:
        raise TypeError(f"audio samples must be integers of 16 bits or floats, not {array.dtype}")
    samples: bytes = array.astype("<i2").tobytes()
    channels = array.shape[1]
    head = struct.pack(
        "<HHIIHH", 1, channels, sample_rate, sample_rate * channels * 2, channels * 2, 16
    )
    chunks = b"fmt " + struct.pack("<I", len(head)) + head
    chunks += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
