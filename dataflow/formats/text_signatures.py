"""How texts begin that are of other formats or no table, and what to do about each.

They count only where no table is found, because lines of any kind may stand above a table.
"""

from typing import Final

from dataflow.formats.signatures import CARDS, EXPORT, OPEN, PICTURE, QUERY, SAVE, signatures

_JSON: Final = "Save the value alone, as JSON."
_ATTACHED: Final = "If the contacts are attached to it, save the attachment and send that."
_XML: Final = rb"(?:<\?xml.{0,300}?)?"
_HTML: Final = (
    _XML
    + rb"(?:<!--(?:(?!-->).){0,2000}-->\s*)*<(?:(?:!doctype (?:html|netscape)|html|head|body|meta|script|link|table|"
    rb"div)\b|br ?/?>|(?:title|p|pre|tr|thead|tbody|ul|center|style|h\d|font|form|span|section|a|b)\b.*</)"
)
_SQL: Final = (
    rb"(?:(?:--|#|/\*|rem )[^\n]*\n\s*)*(?:/\*!|insert\s+(?:(?:ignore\s+)?into|\[)|(?:replace|merge)\s+into|"
    rb"create\s+(?:table|database|schema)|(?:drop|alter)\s+table|begin(?:\s+transaction)?;|start\s+transaction|"
    rb"set\s+\w[\w.]*\s*(?:=|to\b|off\b|on\b)|set\s+names|use\s+\W?\w+\W?\s*(?:;|go\b)|declare\s+@|"
    rb"pragma\s|copy\s+\S+\s?\(|select\s+pg_catalog|\(\s*(?:\d+|null|n?')[^\n]*\)\s*[,;]|"
    rb"select\s[\w*.,\s()]{1,2000}\sfrom\s+[\w.]+\s*(?:;|where\b|order\b|limit\b|(?:left |inner )?join\b|\Z))"
    rb"|(?:(?:--|#|/\*)[^\n]*\n\s*)*?--\s*(?:postgresql database|mysql|mariadb|phpmyadmin sql)\s?dump"
)
_HEAD_LINE: Final = (
    rb"(?:(?:return-path|received|delivered-to|message-id|mime-version|date|from|to|cc|sent|subject|reply-to|x-[\w-]+|"
    rb"content-[\w-]+|dkim-signature|arc-[\w-]+|authentication-results):[^\n]*\n(?:[ \t][^\n]*\n)*)"
)
#: Above settings and YAML, as an atomic group: a possessive one is wrong before Python 3.11.5 (gh-106052).
_COMMENTS: Final = rb"(?=(?P<comments>(?:[#;][^\n]*\n\s*)*))(?P=comments)"
_YAML: Final = _COMMENTS + (
    rb"(?:%yaml|---[ \t]*(?:#[^\n]*)?\r?\n\s*(?:-|[\w\"'-]+:)|(?:[\w-]+:[ \t]*\r?\n\s+)?-[ \t]{1,8}[\w\"' -]{1,80}:\s"
    rb"|[\w-]+:[ \t]*\r?\n[ \t]{1,8}[\w\"' -]{1,80}:\s|-[ \t]*\{|-[ \t]*\r?\n[ \t]{1,8}[\w\"']{1,80}:\s)"
)
_SCRIPT: Final = (
    rb"(?:export\s+)?(?:var|let|const|default|window\.|module\.exports)\b[^\n=]{0,80}=?\s*[\[{]"
    rb"|[\w$.]{1,80}\(\s*[\[{]\s*[\"{}\]\[]|\)\]\}'"
)
_CODE: Final = (
    rb"#!\s*/|#include\b|import\s++[\w.{*][\w.,{}* ]{0,200}+[;\r\n'\"]|from\s+[\w.]+\s+import\b"
    rb"|package\s+[\w.]+;?\s*\n|using\s+[\w.]+;|(?:const|let|var)\s++[\w{}, ]++=|(?:async\s+)?function\b[^\n({]*+[({]"
    rb"|def\s+\w+\s*\(|(?:public\s+)?class\s++\w[^\n:{]*+[:{]|@echo off|[\w.#*: -]{1,80}\{\s*[\w-]+\s*:[^\n]*;"
)
_TRACE: Final = (
    rb"(?:php )?(?:fatal|parse) error:|php (?:warning|notice):|traceback \(most recent call last\)|"
    rb"(?:exception in thread [^\n]*|[\w.$]{0,200}(?:exception|error)\b[^\n]*)\n\s+at "
)
_LOG: Final = (
    rb"\[?\d{4}-\d\d-\d\d[t ]\d\d:\d\d[\d:.,]*z?\]? +[^\d\s,;|]|"
    rb"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) +\d+ \d\d:\d\d:\d\d |"
    rb"\S{1,80} \S{1,80} \S{1,80} \[\d\d/\w{3}/\d{4}:"
)
#: Lines of dashes with blanks between them, boxes of ASCII, boxes of Unicode.
_DRAWN: Final = rb"(?:[^\n]*\n){0,4}?[ \t]*[-=]{2,}(?:[ \t]+[-=]{2,})+[ \t]*\r?(?:\n|\Z)|\+[-=+]{2,}|\xe2[\x94\x95]"
#: Compared in any case, with a text from its first character that is not blank. The first that fits counts.
TEXTS: Final = signatures(
    (rb"(?:.*\n)?BEGIN[ \t]*:[ \t]*VCARD", "a text that has cards (vCard) in it and begins with none",
     "Name it .vcf, or send it as text/vcard."),
    (rb"(?:mecard|bizcard):", "a contact as QR codes hold it (MeCard)", CARDS),
    (rb"<\?xml.{0,600}?(?:progid=.Word|<w:wordDocument)", "a Word document in XML", SAVE),
    (rb"<\?(?:xml|mso).{0,1000}?(?:progid=.Excel|urn:schemas-microsoft-com:office:spreadsheet)",
     "an XML spreadsheet of Excel 2003", OPEN),
    (rb"<\?xml.{0,1000}?urn:oasis:names:tc:opendocument", "an OpenDocument file in XML", OPEN),
    (rb"<.{0,1000}?urn:ietf:params:xml:ns:vcard-4", "xCard, vCard in XML", CARDS),
    (rb"<.{0,1000}?http://schemas\.microsoft\.com/contact", "a contact of Windows (.contact)", EXPORT),
    (_XML + rb"<(?:!doctype )?plist\b", "a property list of Apple (XML)", EXPORT),
    (_XML + rb"<(?:!doctype )?(?:dxl|[^<>]{0,300}lotus\.com/dxl)", "an export of Lotus Notes (DXL)", EXPORT),
    (_XML + rb"<(?:rss|feed|rdf:rdf)\b", "a news feed (RSS or Atom)", EXPORT),
    (_XML + rb"<(?:!doctype )?svg\b", "a picture (SVG)", PICTURE),
    (_XML + rb"<(?:error>|[\w-]+:envelope\b.{0,2000}fault>)", "the error message of a server, in XML",
     "Fetch the file again, signed in."),
    (_HTML + rb".*type\s*=\s*.?password", "a web page (HTML) on which to sign in",
     "Sign in there, and export the contacts again."),
    (_HTML, "a web page (HTML), whatever its name says",
     "If the contacts are in it, open it in Excel or LibreOffice and save it as .xlsx or CSV; if it tells of an error "
     "or asks to sign in, export them again."),
    (rb"<\?xml|<[a-z_][\w:.-]*(?:\s[^<>]{0,500})?>.*</[a-z]|<[a-z_][\w:.-]*\s+[\w:.-]+\s*=\s*[\"']", "XML", EXPORT),
    (rb"(?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?(?:content-type:\s*multipart/related|from: <?saved by)",
     "a web archive (MHTML)", OPEN),
    (rb"from \S+(?: at \S+)? +(?:mon|tue|wed|thu|fri|sat|sun) ", "a mailbox (mbox)", _ATTACHED),
    (_HEAD_LINE + rb"{2}", "an e-mail", _ATTACHED),
    (rb"begin:v(?:calendar|event|todo)", "a calendar (iCalendar)", "Export the contacts, not the calendar."),
    (rb"begin:v(?:note|msg|bookmark|bkm)", "notes or messages of a phone", CARDS),
    (rb"(?:#[^\n]*\n\s*|version:\s*1\s*\n\s*)*dn::? ?\S", "LDIF, the text of a directory (LDAP)",
     "Export the contacts as CSV or vCard: in Thunderbird, Tools, Export."),
    (rb"// <!-- <mdb:mork", "an address book of old Thunderbirds (.mab)", "Export it as CSV or vCard there."),
    (rb"(?=(?P<remarks>(?://[^\n]*\n\s*|/\*(?:(?!\*/).){0,2000}\*/\s*)+))(?P=remarks)[\[{]\s*[\"\[{]",
     "JSON with comments", "Leave the comments out."),
    (_SQL, "SQL, such as a dump of a database", QUERY),
    (rb"<\?php|[ao]:\d+:[{\"]|array\s*\(", "PHP, or what PHP writes", "Write it with fputcsv or json_encode."),
    (_SCRIPT, "JSON within JavaScript", _JSON),
    (_YAML, "YAML", "Write it as JSON or CSV."),
    (_TRACE, "the error message of a program", "Have it write the contacts once more."),
    (_LOG, "a log", EXPORT),
    (rb"(?![^\n@]*+@[^\n]*+\n[^\n@]*+@)(?:[\w .-]{1,40}:[ \t][^\n]*\n\s*){2}", "a list with a line for each field",
     "Write each contact on one line, below a header row such as name,email."),
    (rb"\[internetshortcut\]|\[desktop entry\]", "a link to a web page (.url)", "Open it, and save what is there."),
    (rb"(?:(?:https?|ftp|file|s3|gs)://\S++(?:\s++|\Z))+\Z", "a link, and not the file that it leads to",
     "Download that, and send it."),
    (rb"# abook addressbook file", "an address book of abook", "Write it with abook --convert --outformat csv."),
    (rb";+ -\*- mode|;+ file-(?:format|version):", "an address book of Emacs (BBDB)", CARDS),
    (rb"opera hotlist", "an address book of Opera", EXPORT),
    (_COMMENTS + rb"(?:[\w.-]{1,80}[ \t]*=[^\n=]*\n\s*){2}", "a file of settings (name = value)", EXPORT),
    (_COMMENTS + rb"\[{1,2}[^\[\]\n]{1,80}\]{1,2}[ \t]*\r?\n\s*[\w. -]{1,80}=",
     "a file of settings (INI or TOML)", EXPORT),
    (_DRAWN, "a table drawn for the screen, its columns set by blanks or lines",
     "Have it written as CSV: --csv in psql and sqlite3, SET MARKUP CSV ON in SQL*Plus, INTO OUTFILE in MySQL."),
    (rb"-\[ record 1 |\*{3,} +1\. row \*{3,}", "a list drawn for the screen, a line for each field", QUERY),
    (rb"id;p\w*(?:;[ne])*\s*\r?\n[pbcfo];", "a SYLK spreadsheet (.slk)", OPEN),
    (rb"table\r?\n0,1\r?\n", "a spreadsheet in the Data Interchange Format (.dif)", OPEN),
    (rb"alias\s+\S+\s+\S", "aliases of a mail program", "Put each on a line as name,email, below a header row."),
    (rb"-----begin (?:pgp|certificate|encrypted|rsa|openssh|private)", "encrypted, or a key", "Decrypt it first."),
    (rb"version https://git-lfs", "a pointer of Git LFS instead of its file", "Fetch the file: git lfs pull."),
    (rb"[\w./-]{0,200}/annex/objects/", "a pointer of git-annex instead of its file", "Fetch the file: git annex get."),
    (rb"begin [0-7]{3} \S|=ybegin |data:[\w/.+-]*[;,]|(?=\S{0,200}\d)[\da-f]{40}[\da-f\s]*+\Z|"
     rb"(?-i:(?=\S{0,200}\d)(?=\S{0,200}[A-Z])(?=\S{0,200}[a-z])[A-Za-z\d+/_-]{40}[A-Za-z\d+/_=\s-]*+\Z)|"
     rb"[^\s%]{0,500}%(?:2c|3b|09)\S*%0[ad]\S*\s*\Z",
     "a file encoded as text (base64 or the like)", "Decode it first."),
    (rb"[\w.%+-]{1,80}=[^\s&=]*&[\w.%+-]{1,80}=", "the fields of a web form", "Send them as JSON or CSV."),
    (rb"[^\r\n\\]*+\\[nr][^\r\n]*+\s*+\Z", "a text whose line ends are written as \\n",
     "Send the text itself, and not what JSON or repr() makes of it."),
    (rb"\[object \w+\]", "what JavaScript writes in place of an object", "Write it with JSON.stringify."),
    (rb"http/[\d.]+ \d{3}", "the answer of a web server with its head", "Save its body alone."),
    (rb"\\documentclass|\\begin\{|\\hline|@\w+\{", "LaTeX or BibTeX", SAVE),
    (_CODE, "source code", EXPORT),
    (rb".*BEGIN[ \t]*:[ \t]*VCARD", "a text that has cards (vCard) in it, none of them at the beginning of a line",
     "Begin each with BEGIN:VCARD on a line of its own."),
    (rb"!type:|ofxheader:", "a file of accounts (QIF or OFX)", EXPORT),
)  # fmt: skip
