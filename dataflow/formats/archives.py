"""What a ZIP archive is that is no workbook."""

from typing import Final

from dataflow.errors import MalformedInput
from dataflow.formats.xlsx.package import Package

_SAVE: Final = "Save it as .xlsx or CSV."
_TABLE: Final = "Save the sheet or table in it as .xlsx or CSV."
#: By a part of the archive, in lower case; the first that is there counts.
_PARTS: Final = {
    "xl/workbook.bin": ("an Excel binary workbook (.xlsb)", _SAVE),
    "word/document.xml": ("a Word document (.docx)", _TABLE),
    "ppt/presentation.xml": ("a PowerPoint presentation (.pptx)", _TABLE),
    "index/document.iwa": ("a document of Apple's Numbers, Pages or Keynote", "Export it as .xlsx or CSV there."),
    "index.zip": ("a document of Apple's Numbers, Pages or Keynote", "Export it as .xlsx or CSV there."),
    "index.apxl": ("a document of Apple's Numbers, Pages or Keynote", "Export it as .xlsx or CSV there."),
    "meta-inf/manifest.mf": ("a Java program", "Export the contacts as CSV or vCard."),
}
#: By what the part `mimetype` has.
_TYPES: Final = {
    b"opendocument.spreadsheet": ("an OpenDocument file", _SAVE),
    b"opendocument": ("an OpenDocument text, drawing or presentation", _TABLE),
    b"epub": ("an e-book (EPUB)", "Export the contacts as CSV or vCard."),
}
_APPLE_CONTACTS: Final = (".abcdp", ".abcddb")
_MAX_MIME_TYPE_BYTES: Final = 1024


def refusal(package: Package) -> MalformedInput:
    """The error that names what is in the archive, and what to do."""
    for part, (what, advice) in _PARTS.items():
        if part in package:
            return MalformedInput(f"This is {what} and no .xlsx workbook. {advice}")
    mime_type = package.small_part("mimetype").read(_MAX_MIME_TYPE_BYTES) if "mimetype" in package else b""
    for mark, (what, advice) in _TYPES.items():
        if mark in mime_type:
            return MalformedInput(f"This is {what}. {advice}")
    if any(name.endswith(_APPLE_CONTACTS) for name in package.names):
        return MalformedInput("This is an archive of Apple's Contacts. Export the contacts as vCard there.")
    if any("com.microsoft.__" in name for name in package.names):
        return MalformedInput("This is an archive of Outlook for Mac (.olm). Export the contacts as CSV there.")
    if "[Content_Types].xml" in package:
        return MalformedInput(f"This is no .xlsx workbook. {_TABLE}")
    files = [name for name in package.names if not name.endswith("/") and not name.startswith("__macosx/")]
    advice = "Send the file in it." if len(files) == 1 else f"It holds {len(files)} files: send each alone."
    return MalformedInput(f"This ZIP archive is no workbook. {advice}")
