"""How well-known formats begin that are not read and cannot be mistaken for a table, and what to do about each."""

import re
from typing import Final

EXPORT: Final = "Export the contacts as CSV, .xlsx or vCard in the program that it comes from."
SAVE: Final = "Save the contacts as .xlsx or CSV."
OPEN: Final = "Open it in Excel or LibreOffice and save it as .xlsx or CSV."
QUERY: Final = "Export the table or the query as CSV in the database's program."
UNPACK: Final = "Unpack it, and send the file in it. Only gzip is unpacked here."
PICTURE: Final = "Contacts are not read off pictures."
CARDS: Final = "Export the contacts as vCard (.vcf)."
_ROWS: Final = 'Write each contact as {"name": "Ann Lee", "email": "ann@example.com"}, all in one array or one a line.'

_DECRYPT: Final = "Decrypt it first."

#: How a content begins, what it is, and what to do about it.
Signature = tuple[re.Pattern[bytes], str, str]


def signatures(*rows: tuple[bytes, str, str]) -> tuple[Signature, ...]:
    """A table of them, compared in any case; `.` stands for any byte."""
    return tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), what, advice) for pattern, what, advice in rows)


OLE2: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: What parts of such a file are called, in UTF-16.
PARTS: Final = {
    "EncryptedPackage": ("an Office file with a password", "Save it as .xlsx without one, or as CSV."),
    "Workbook": ("an old Excel file (.xls)", "Save it as .xlsx, without a password, or as CSV."),
    "WordDocument": ("an old Word file (.doc)", SAVE),
    "PowerPoint Document": ("an old PowerPoint file (.ppt)", SAVE),
    "__substg1.0_": ("an Outlook item (.msg)", "Save the contacts as .xlsx or CSV: in Outlook, File, Export."),
}
ANY_PART: Final = ("an old Excel file (.xls), or one with a password", "Save it as .xlsx without one, or as CSV.")
#: Compared in any case, with the very first bytes.
CERTAIN: Final = signatures(
    (rb"(?-i:%PDF-)", "a PDF", SAVE),
    (rb"(?-i:!BDN).{4}SM", "an Outlook data file (.pst)", EXPORT),
    (rb"\x9c\xcb\xcb\x8d\x13\x75\xd2\x11", "a Windows Address Book (.wab)", EXPORT),
    (rb"\x1a\x00\x00[\x03\x04]\x00\x00", "a Lotus Notes database (.nsf)", EXPORT),
    (rb"\xcf\xad\x12\xfe", "a mailbox of Outlook Express (.dbx)", EXPORT),
    (rb"SQLite format 3\x00", "an SQLite database (of Apple's Contacts, or of another program)", EXPORT),
    (rb"\x00\x01\x00\x00Standard (?:Jet|ACE) DB", "a Microsoft Access database", QUERY),
    (rb"PGDMP[\x00-\x08]", "a dump of Postgres", QUERY),
    (rb"[\x03\x30\x83\x8b\xf5][\x00-\xff][\x01-\x0c][\x01-\x1f].{8}\x00\x00", "a dBase table (.dbf)", OPEN),
    (rb"\x09[\x00\x02\x04\x08][\x04\x06\x08\x10]\x00", "a very old Excel file (.xls)", OPEN),
    (rb"\x00\x00[\x02\x1a]\x00", "a sheet of Lotus 1-2-3", OPEN),
    (rb"\x00\x01\x00\x00\x00\x02\x00\x01\x00\x05", "a FileMaker database", QUERY),
    (rb"PAR1[\x00-\x08\x0e-\x1f]", "a Parquet file", QUERY),
    (rb"Obj\x01", "an Avro file", QUERY),
    (rb"ORC[\x00-\x1f][\x00-\x09\x0b\x0c\x0e-\x1f]", "an ORC file", QUERY),
    (rb".{8}DUCK.\x00{7}", "a DuckDB database", QUERY),
    (rb"\x89HDF\r\n", "an HDF5 file", QUERY),
    (rb"\$FL[23]@\(#\)|<stata_dta>|RD[AX][23]\n|.{12}\xc2\xea\x81\x60|MATLAB 5\.0 MAT",
     "a file of a statistics program", "Export the table as CSV there."),
    (rb".{12}(?:\x61\x15\x06\x00|\x62\x31\x05\x00|\x00\x06\x15\x61|\x00\x05\x31\x62)",
     "a Berkeley DB, such as an address book of an old Evolution", EXPORT),
    (rb"\x0d\xf0\xad\xba", "the recipients that Outlook remembers (.nk2)", EXPORT),
    (rb"x\x9f>\x22", "what Outlook makes of attachments (winmail.dat)", "Save them in Outlook, and send those."),
    (rb"\x80[\x02-\x05][\x95\]}(]", "what Python pickles", "Write it as CSV or JSON."),
    (rb"L\x00\x00\x00\x01\x14\x02\x00", "a shortcut of Windows (.lnk)", "Send the file that it points to."),
    (rb"Salted__|age-encryption\.org/v1|\$ANSIBLE_VAULT;", "encrypted", _DECRYPT),
    (rb"ARROW1\x00|FEA1\x00", "an Arrow file", QUERY),
    (rb"bplist0[01]", "a property list of Apple, in its binary form", EXPORT),
    (rb"\x89PNG\r\n", "a picture (PNG)", PICTURE),
    (rb"\xff\xd8\xff", "a picture (JPEG)", PICTURE),
    (rb"GIF8[79]a", "a picture (GIF)", PICTURE),
    (rb"II\*\x00|MM\x00\*", "a picture (TIFF)", PICTURE),
    (rb"RIFF.{4}WEBP", "a picture (WebP)", PICTURE),
    (rb"\x00\x00\x00.ftyp(?:hei|hev|mif|msf|avi)", "a picture (HEIC)", PICTURE),
    (rb"BM.{4}\x00{4}", "a picture (BMP)", PICTURE),
    (rb"8BPS\x00", "a picture (Photoshop)", PICTURE),
    (rb"\x00\x00\x00.ftyp|RIFF.{4}AVI |\x1aE\xdf\xa3", "a video", EXPORT),
    (rb"ID3[\x02-\x04]\x00|OggS\x00|fLaC\x00|RIFF.{4}WAVE", "a sound", EXPORT),
    (rb"%!PS|AT&TFORM|\xffWPC|\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d",
     "a document (PostScript, DjVu, WordPerfect or OneNote)", SAVE),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (rb"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (rb"BZh[1-9]1AY&SY", "compressed with bzip2", UNPACK),
    (rb"\xfd7zXZ\x00", "compressed with xz", UNPACK),
    (rb"\x28\xb5\x2f\xfd", "compressed with zstd", UNPACK),
    (rb"\x04\x22\x4d\x18", "compressed with lz4", UNPACK),
    (rb"\x1f\x9d|\x1f\xa0", "compressed with compress (.Z)", UNPACK),
    (rb"x[\x01\x9c\xda]|\]\x00\x00[\x00-\xff]|LZIP\x01", "compressed with zlib, lzma or lzip", UNPACK),
    (rb"(?=.{257}ustar)[^\x00]{1,100}\x00", "a tar archive", UNPACK),
    (rb"PK\x05\x06", "an empty ZIP archive", EXPORT),
    (rb"PK(?:00PK)?\x07\x08", "a part of a ZIP archive", UNPACK),
    (rb"MSCF\x00", "a cabinet archive (.cab)", UNPACK),
    (rb"MZ.[\x00\x01]|\x7fELF|\xca\xfe\xba\xbe|\xcf\xfa\xed\xfe|\x00asm|!<arch>\n|\xed\xab\xee\xdb",
     "a program", EXPORT),
    (rb"\{\\rtf", "a text of a word processor (RTF)", "Save the table in it as .xlsx or CSV."),
    (rb'(?:\[\s*){1,2}"vcard"\s*,\s*\[\s*\[|\[\s*"vcardstream"', "jCard, vCard in JSON", CARDS),
    (rb'(?:\[\s*)?\{\s*"@type"\s*:\s*"Card', "JSContact, contacts in JSON", CARDS),
    (rb'\{\s*"type"\s*:\s*"FeatureCollection"', "GeoJSON", _ROWS),
    (rb'\[\s*"[^\[\]{}\n]*\]\s*\n\s*\[', "JSON with an array on each line", _ROWS),
    # Lines of JSON may have one that is bad.
    (rb"(?:\[\s*)?\{\s*(?:'|[a-z_$]\w*\s*:)(?!.*\n[ \t]*+\{\x22)|\[\s*\(\s*['\"]",
     "a value as Python or JavaScript writes it, and not JSON", "Write it with json.dumps or JSON.stringify."),
    (rb'\{"(?:url)?": ?"(?:https://docs\.google\.com/|WARNING! DO NOT EDIT)', "a link to Google Docs",
     "Open it, and choose File, Download, .xlsx or CSV."),
)  # fmt: skip
