"""Well-known formats that are not read, told by how they begin, each with what to do about it.

Some begin as no text and no JSON does: those are refused at once. Others are texts, and count only where no table is
found in them, because lines of any kind may stand above one.
"""

import json
import re
from typing import Final

from dataflow.errors import UnsupportedMediaType

SEND: Final = "Send JSON, NDJSON, CSV, vCard or XLSX"
_EXPORT: Final = "Export the contacts as CSV, .xlsx or vCard in the program that it comes from."
_SAVE: Final = "Save the contacts as .xlsx or CSV."
_OPEN: Final = "Open it in Excel or LibreOffice and save it as .xlsx or CSV."
_QUERY: Final = "Export the table or the query as CSV in the database's program."
_UNPACK: Final = "Unpack it, and send the file in it. Only gzip is unpacked here."
_PICTURE: Final = "Contacts are not read off pictures."
_JSON: Final = "Save the value alone, as JSON."
_ATTACHED: Final = "If the contacts are attached to it, save the attachment and send that."

Signature = tuple[re.Pattern[bytes], str, str]


def _signatures(*rows: tuple[bytes, str, str]) -> tuple[Signature, ...]:
    return tuple((re.compile(pattern, re.IGNORECASE | re.DOTALL), what, advice) for pattern, what, advice in rows)


_OLE2: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: What parts of such a file are called, in UTF-16.
_PARTS: Final = {
    "EncryptedPackage": ("an Office file with a password", "Save it as .xlsx without one, or as CSV."),
    "Workbook": ("an old Excel file (.xls)", "Save it as .xlsx, without a password, or as CSV."),
    "WordDocument": ("an old Word file (.doc)", _SAVE),
    "PowerPoint Document": ("an old PowerPoint file (.ppt)", _SAVE),
    "__substg1.0_": ("an Outlook item (.msg)", "Save the contacts as .xlsx or CSV: in Outlook, File, Export."),
}
_ANY_PART: Final = ("an old Excel file (.xls), or one with a password", "Save it as .xlsx without one, or as CSV.")
#: Compared in any case, with the very first bytes.
_CERTAIN: Final = _signatures(
    (rb"(?-i:%PDF-)", "a PDF", _SAVE),
    (rb"(?-i:!BDN).{4}SM", "an Outlook data file (.pst)", _EXPORT),
    (rb"\x9c\xcb\xcb\x8d\x13\x75\xd2\x11", "a Windows Address Book (.wab)", _EXPORT),
    (rb"\x1a\x00\x00[\x03\x04]\x00\x00", "a Lotus Notes database (.nsf)", _EXPORT),
    (rb"\xcf\xad\x12\xfe", "a mailbox of Outlook Express (.dbx)", _EXPORT),
    (rb"SQLite format 3\x00", "an SQLite database (of Apple's Contacts, or of another program)", _EXPORT),
    (rb"\x00\x01\x00\x00Standard (?:Jet|ACE) DB", "a Microsoft Access database", _QUERY),
    (rb"PGDMP[\x00-\x08]", "a dump of Postgres", _QUERY),
    (rb"[\x03\x30\x83\x8b\xf5][\x00-\xff][\x01-\x0c][\x01-\x1f].{8}\x00\x00", "a dBase table (.dbf)", _OPEN),
    (rb"\x09[\x00\x02\x04\x08][\x04\x06\x08\x10]\x00", "a very old Excel file (.xls)", _OPEN),
    (rb"\x00\x00[\x02\x1a]\x00", "a sheet of Lotus 1-2-3", _OPEN),
    (rb"\x00\x01\x00\x00\x00\x02\x00\x01\x00\x05", "a FileMaker database", _QUERY),
    (rb"PAR1[\x00-\x08\x0e-\x1f]", "a Parquet file", _QUERY),
    (rb"Obj\x01", "an Avro file", _QUERY),
    (rb"ARROW1\x00|FEA1\x00", "an Arrow file", _QUERY),
    (rb"bplist0[01]", "a property list of Apple, in its binary form", _EXPORT),
    (rb"\x89PNG\r\n", "a picture (PNG)", _PICTURE),
    (rb"\xff\xd8\xff", "a picture (JPEG)", _PICTURE),
    (rb"GIF8[79]a", "a picture (GIF)", _PICTURE),
    (rb"II\*\x00|MM\x00\*", "a picture (TIFF)", _PICTURE),
    (rb"RIFF.{4}WEBP", "a picture (WebP)", _PICTURE),
    (rb"\x00\x00\x00.ftyp(?:hei|hev|mif|msf|avi)", "a picture (HEIC)", _PICTURE),
    (rb"\x00\x00\x00.ftyp", "a video", _EXPORT),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (rb"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (rb"BZh[1-9]1AY&SY", "compressed with bzip2", _UNPACK),
    (rb"\xfd7zXZ\x00", "compressed with xz", _UNPACK),
    (rb"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (rb"\x04\x22\x4d\x18", "compressed with lz4", _UNPACK),
    (rb"\x1f\x9d|\x1f\xa0", "compressed with compress (.Z)", _UNPACK),
    (rb"(?=.{257}ustar)[^\x00]{1,100}\x00", "a tar archive", _UNPACK),
    (rb"PK\x05\x06", "an empty ZIP archive", _EXPORT),
    (rb"PK(?:00PK)?\x07\x08", "a part of a ZIP archive", _UNPACK),
    (rb"MSCF\x00", "a cabinet archive (.cab)", _UNPACK),
    (rb"MZ.[\x00\x01]|\x7fELF", "a program", _EXPORT),
    (rb"\{\\rtf", "a text of a word processor (RTF)", "Save the table in it as .xlsx or CSV."),
    (rb'(?:\[\s*){1,2}"vcard"\s*,\s*\[\s*\[', "jCard, vCard in JSON", "Export the contacts as vCard (.vcf)."),
    (rb"\[\s*\{\s*(?:'|[a-z_$]\w*\s*:)|\[\s*\(\s*['\"]", "a list as Python or JavaScript writes it, and not JSON",
     "Write it with json.dumps or JSON.stringify."),
    (rb'\{"(?:url)?": ?"(?:https://docs\.google\.com/|WARNING! DO NOT EDIT)', "a link to Google Docs",
     "Open it, and choose File, Download, .xlsx or CSV."),
)  # fmt: skip
_XML: Final = rb"(?:<\?xml.{0,300}?)?"
_HTML: Final = (
    _XML
    + rb"(?:<!--(?:(?!-->).){0,2000}-->\s*)*<(?:(?:!doctype html|html|head|body|meta|script|link|table|div)\b|br ?/?>|"
    rb"(?:title|p|pre|tr|thead|tbody|ul|center|style|h\d|font|form|span|section|a|b)\b.*</)"
)
_SQL: Final = (
    rb"(?:(?:--|#|/\*)[^\n]*\n\s*)*(?:/\*!|insert\s+(?:ignore\s+)?into|create\s+(?:table|database|schema)|drop\s+table|"
    rb"begin(?:\s+transaction)?;|start\s+transaction|set\s+\w[\w.]*\s*(?:=|to\b)|set\s+names|use\s+\W?\w+\W?\s*(?:;|go\b)|"
    rb"pragma\s|copy\s+\S+\s?\(|select\s+pg_catalog)"
    rb"|(?:(?:--|#|/\*)[^\n]*\n\s*)*?--\s*(?:postgresql database|mysql|mariadb|phpmyadmin sql)\s?dump"
)
_HEAD_LINE: Final = (
    rb"(?:(?:return-path|received|delivered-to|message-id|mime-version|date|from|to|cc|subject|reply-to|x-[\w-]+|"
    rb"content-[\w-]+|dkim-signature|arc-[\w-]+|authentication-results):[^\n]*\n(?:[ \t][^\n]*\n)*)"
)
_YAML: Final = (
    rb"%yaml|---[ \t]*(?:#[^\n]*)?\r?\n\s*(?:-|[\w\"'-]+:)|(?:[\w-]+:[ \t]*\r?\n\s+)?-[ \t]{1,8}[\w\"' -]{1,80}:\s"
    rb"|[\w-]+:[ \t]*\r?\n[ \t]{1,8}[\w\"' -]{1,80}:\s"
)
_SCRIPT: Final = (
    rb"(?:export\s+)?(?:var|let|const|default|window\.|module\.exports)\b[^\n=]{0,80}=?\s*[\[{]"
    rb"|[\w$.]{1,80}\(\s*[\[{]\s*[\"{}\]\[]|\)\]\}'"
)
#: Lines of dashes with blanks between them, boxes of ASCII, boxes of Unicode.
_DRAWN: Final = rb"(?:[^\n]*\n){0,4}?[ \t]*[-=]{2,}(?:[ \t]+[-=]{2,})+[ \t]*\r?(?:\n|\Z)|\+[-=+]{2,}|\xe2[\x94\x95]"
_CARDS: Final = "Export the contacts as vCard (.vcf)."
#: Compared in any case, with a text from its first character that is not blank. The first that fits counts.
_TEXTS: Final = _signatures(
    (rb"(?:.*\n)?BEGIN[ \t]*:[ \t]*VCARD", "a text that has cards (vCard) in it and begins with none",
     "Name it .vcf, or send it as text/vcard."),
    (rb"<\?xml.{0,600}?(?:progid=.Word|<w:wordDocument)", "a Word document in XML", _SAVE),
    (rb"<\?(?:xml|mso).{0,1000}?(?:progid=.Excel|urn:schemas-microsoft-com:office:spreadsheet)",
     "an XML spreadsheet of Excel 2003", _OPEN),
    (rb"<\?xml.{0,1000}?urn:oasis:names:tc:opendocument", "an OpenDocument file in XML", _OPEN),
    (rb"<.{0,1000}?urn:ietf:params:xml:ns:vcard-4", "xCard, vCard in XML", _CARDS),
    (rb"<.{0,1000}?http://schemas\.microsoft\.com/contact", "a contact of Windows (.contact)", _EXPORT),
    (_XML + rb"<(?:!doctype )?plist\b", "a property list of Apple (XML)", _EXPORT),
    (_XML + rb"<(?:!doctype )?(?:dxl|[^<>]{0,300}lotus\.com/dxl)", "an export of Lotus Notes (DXL)", _EXPORT),
    (_XML + rb"<(?:rss|feed|rdf:rdf)\b", "a news feed (RSS or Atom)", _EXPORT),
    (_XML + rb"<(?:!doctype )?svg\b", "a picture (SVG)", _PICTURE),
    (_XML + rb"<error>", "the error message of a server, in XML", "Fetch the file again, signed in."),
    (_HTML + rb".*type\s*=\s*.?password", "a web page (HTML) on which to sign in",
     "Sign in there, and export the contacts again."),
    (_HTML, "a web page (HTML), whatever its name says",
     "If the contacts are in it, open it in Excel or LibreOffice and save it as .xlsx or CSV; if it tells of an error "
     "or asks to sign in, export them again."),
    (rb"<\?xml|<[a-z_][\w:.-]*(?:\s[^<>]{0,500})?>.*</[a-z]", "XML", _EXPORT),
    (rb"(?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?(?:content-type:\s*multipart/related|from: <?saved by)",
     "a web archive (MHTML)", _OPEN),
    (rb"from \S+(?: at \S+)? +(?:mon|tue|wed|thu|fri|sat|sun) ", "a mailbox (mbox)", _ATTACHED),
    (_HEAD_LINE + rb"{3}", "an e-mail", _ATTACHED),
    (rb"begin:v(?:calendar|event|todo)", "a calendar (iCalendar)", "Export the contacts, not the calendar."),
    (rb"begin:v(?:note|msg|bookmark|bkm)", "notes or messages of a phone", _CARDS),
    (rb"(?:#[^\n]*\n\s*|version:\s*1\s*\n\s*)*dn::? ?\S", "LDIF, the text of a directory (LDAP)",
     "Export the contacts as CSV or vCard: in Thunderbird, Tools, Export."),
    (rb"// <!-- <mdb:mork", "an address book of old Thunderbirds (.mab)", "Export it as CSV or vCard there."),
    (_SQL, "SQL, such as a dump of a database", _QUERY),
    (rb"<\?php|[ao]:\d+:[{\"]|array\s*\(", "PHP, or what PHP writes", "Write it with fputcsv or json_encode."),
    (_SCRIPT, "JSON within JavaScript", _JSON),
    (_YAML, "YAML", "Write it as JSON or CSV."),
    (rb"(?:[\w .-]{1,40}:[ \t][^\n]*\n\s*){2}", "a list with a line for each field",
     "Write each contact on one line, below a header row such as name,email."),
    (rb"\[internetshortcut\]", "a link to a web page (.url)", "Open it, and save what is there."),
    (rb"\[{1,2}[^\[\]\n]{1,80}\]{1,2}[ \t]*\r?\n\s*[\w. -]{1,80}=", "a file of settings (INI or TOML)", _EXPORT),
    (_DRAWN, "a table drawn for the screen, its columns set by blanks or lines",
     "Have it written as CSV: --csv in psql and sqlite3, SET MARKUP CSV ON in SQL*Plus, INTO OUTFILE in MySQL."),
    (rb"-\[ record 1 |\*{3,} +1\. row \*{3,}", "a list drawn for the screen, a line for each field", _QUERY),
    (rb"id;p\w*(?:;[ne])*\s*\r?\n[pbcfo];", "a SYLK spreadsheet (.slk)", _OPEN),
    (rb"table\r?\n0,1\r?\n", "a spreadsheet in the Data Interchange Format (.dif)", _OPEN),
    (rb"alias\s+\S+\s+\S", "aliases of a mail program", "Put each on a line as name,email, below a header row."),
    (rb"-----begin (?:pgp|certificate|encrypted|rsa|openssh|private)", "encrypted, or a key", "Decrypt it first."),
    (rb"version https://git-lfs", "a pointer of Git LFS instead of its file", "Fetch the file: git lfs pull."),
    (rb"begin [0-7]{3} \S|=ybegin |data:[\w/.+-]*[;,]", "a file encoded as text", "Decode it first."),
    (rb"http/[\d.]+ \d{3}", "the answer of a web server with its head", "Save its body alone."),
    (rb"\\documentclass|\\begin\{", "LaTeX", _SAVE),
    (rb"!type:|ofxheader:", "a file of accounts (QIF or OFX)", _EXPORT),
)  # fmt: skip
#: What the answers of programs have that tell of an error, and at least one of the first.
_ERROR_MEMBERS: Final = frozenset(("error", "errors", "message", "detail", "error_description", "errorMessage"))
_ERROR_MEMBERS_TOO: Final = frozenset(
    ("code", "status", "statusCode", "status_code", "errorCode", "error_code", "success", "ok", "type", "title", "path",
     "instance", "timestamp", "requestId", "request_id", "traceId", "trace_id", "documentation_url", "details", "hint",
     "error_message", "msg", "reason", "data", "result")
)  # fmt: skip
#: No longer ones are looked at.
_MAX_ERROR_BYTES: Final = 16 * 1024


def refuse_certain(head: bytes, text: bytes) -> None:
    """Refuse what is surely none of the formats that are read.

    :param head: how the content begins.
    :param text: the same in UTF-8 and without white space before it, where it is a text.
    :raises UnsupportedMediaType: naming what it is.
    """
    if head.startswith(_OLE2):
        parts = (facts for name, facts in _PARTS.items() if name.encode("utf-16-le") in head)
        raise _refusal(*next(parts, _ANY_PART))
    for pattern, what, advice in _CERTAIN:
        if pattern.match(head) or pattern.match(text):
            raise _refusal(what, advice)
    if text.startswith(b"{") and len(text) <= _MAX_ERROR_BYTES and _tells_of_error(text):
        raise _refusal("the error message of a program, in JSON", "Sign in there, and export the contacts again.")


def named(text: bytes) -> UnsupportedMediaType | None:
    """What a text is in which no table was found, None when that is not known.

    :param text: its beginning in UTF-8, without white space before it.
    """
    found = (_refusal(what, advice) for pattern, what, advice in _TEXTS if pattern.match(text))
    return next(found, None)


def _tells_of_error(text: bytes) -> bool:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    members = frozenset(found)
    return (
        bool(members & _ERROR_MEMBERS)
        and not (members - _ERROR_MEMBERS - _ERROR_MEMBERS_TOO)
        and not isinstance(found.get("data"), list)
    )


def _refusal(what: str, advice: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(f"This is {what}. {advice} {SEND}.")
