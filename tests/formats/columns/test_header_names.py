"""The header rows of programs, as they write them: two contacts below each come in as they are, whatever else is there.

The rows are in data/header_rows.tsv, which stands for itself: nothing of it is made of the names that the code knows.
"""

# ruff: noqa: RUF001 - the letters of other alphabets are meant

import csv
import io
import json
from pathlib import Path
from typing import Final

import pytest

from dataflow.errors import AmbiguousColumns, MissingColumns
from dataflow.formats.columns import headers
from dataflow.formats.columns.comparison import normalise, without_accents
from dataflow.formats.columns.contact_columns import find
from dataflow.formats.columns.header_names import TABLE
from dataflow.formats.reading import Reading
from dataflow.formats.registry import Findings, read_blocks

pytestmark = pytest.mark.unit

LINES: Final = [
    line.split("\t")
    for line in (Path(__file__).resolve().parents[2] / "data/header_rows.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
ROWS: Final = {name: row for _, name, _, row in LINES}

#: `+` marks the columns of the first name, `-` of the last name, `*` of all of it and `@` of the e-mail.
MARKS: Final = "+-*@."
CONTACTS: Final = (("Ann", "Lee", "ann@example.com"), ("Zoë", "Wiśniewska", "zoe@example.org"))


def cells_of(row: str) -> list[str]:
    return row.split(";" if row.count(";") > row.count(",") else ",")


def value(cell: str, first: str, last: str, address: str) -> str:
    """What a contact has in a column; in those that are not marked, what must not be taken."""
    marked = {"+": first, "-": last, "*": f"{first} {last}", "@": address}
    return marked.get(cell[0], "boss@example.net" if "mail" in cell.lower() else "Somebody Else")


def table(row: str) -> tuple[list[str], list[list[str]]]:
    """A header row as a program writes it, and the rows of the contacts."""
    cells = cells_of(row)
    header = [cell[1:] if cell[0] in MARKS else cell for cell in cells]
    return header, [[value(cell, *contact) for cell in cells] for contact in CONTACTS]


def expected(row: str) -> list[tuple[str, str]]:
    marks = {cell[0] for cell in cells_of(row)}
    has_whole = "*" in marks or {"+", "-"} <= marks
    return [(f"{first} {last}" if has_whole else first, address) for first, last, address in CONTACTS]


def has_names_once(row: str) -> bool:
    return len({*cells_of(row)}) == len(cells_of(row)) == len({*table(row)[0]})


def imported(format_name: str, content: str) -> list[tuple[object, object]]:
    blocks = read_blocks(format_name, [content.encode()], Reading(1024 * 1024), Findings())
    return [pair for block in blocks for pair in zip(block.names, block.emails, strict=True)]


@pytest.mark.parametrize("program", ROWS)
def test_a_programs_header_row_with_two_contacts_imports_both(program: str) -> None:
    header, rows = table(ROWS[program])
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    assert imported("csv", text.getvalue()) == expected(ROWS[program])


@pytest.mark.parametrize("program", [name for name, row in ROWS.items() if has_names_once(row)])
def test_the_same_as_members_of_json_rows(program: str) -> None:
    header, rows = table(ROWS[program])
    lines = "".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows)
    assert imported("ndjson", lines) == expected(ROWS[program])


def test_no_name_of_a_column_means_two_things() -> None:
    known = {
        **dict.fromkeys(headers.EMAILS, "email"),
        **dict.fromkeys(headers.MORE_EMAILS, "email2"),
        **dict.fromkeys(headers.NAMES, "whole"),
        **dict.fromkeys(headers.FIRST_NAMES, "first"),
        **dict.fromkeys(headers.LAST_NAMES, "last"),
    }
    for line in TABLE:
        for name in map(normalise, line.names):
            for each in filter(None, (name, without_accents(name))):
                assert known.setdefault(each, line.role) == line.role, each
    assert {normalise(name) for name in known} == {*known}


def test_each_line_of_the_tables_has_its_source() -> None:
    sources = {"exchange", "roundcube", "thunderbird", "forms", "seen", "recalled"}
    assert {line.source for line in TABLE} == {source for _, _, source, _ in LINES} == sources
    assert {line.role for line in TABLE} <= {*headers.LISTED}
    assert all(line.language and line.names for line in TABLE)


def test_more_than_a_hundred_programs_and_eighteen_languages_are_there() -> None:
    assert sum(group == "program" for group, *_ in LINES) > 100
    assert len({name.partition(" ")[0] for group, name, *_ in LINES if group == "language"}) >= 18


def listed(names: str) -> list[str]:
    return names.split("|")


#: The person's own, whatever qualifies it.
EMAILS: Final = listed(
    "Email Address [Required]|Contact: Email|Billing Email|user_email|Primary Contact Email|attendee.email|"
    "E-mail (work)|Work - Email|Invitee Email|Buyer Email|Email (required)|Email*|* Email|Email:|E-mail #1|Email1|"
    "email_1|Email Address 1|Work email address|Business E-mail|Email (Business)|Email - Home|"
    "Primary email address|Primary Email (Required)|Customer's Email|Customer email address|Member E-Mail|"
    "Donor email|Guest's email|Participant E-Mail|contact/email|contact[email]|contact->email|user:email|"
    "Billing: E-mail Address|Billing Contact Email|Email ID|Student E-mail|Employee Email|User Email Address|"
    "Please enter your email|What is your email?|Your e-mail address|Corporate Email|Email Personal|"
    "Personal Email Address|Contact E-Mail|Email Contact|Customer Contact Email|Email 1 Address|"
    "E-mail Address (primary)|emailAddress.value|emails.value|emails[0].value|emails.0.value|properties.email|"
    "fields.Email|profile.email|Contact Email Address|E-Mail (privat)|E-Mail geschäftlich|E-Mail (geschäftlich)|"
    "Geschäftliche E-Mail|E-Mail-Adresse (Pflichtfeld)|E-Mail Adresse*|Kunden-E-Mail|E-Mail des Kunden|"
    "Adresse e-mail professionnelle|Email professionnel|E-mail du client|Correo electrónico (trabajo)|"
    "Correo electrónico personal|Email aziendale|E-mail cliente|E-mailadres (werk)|Adres e-mail (służbowy)|"
    "E-post (jobb)|E-post arbete|会社メールアドレス|勤務先メールアドレス|メールアドレス（会社）|Email (公司)|"
    "工作邮箱|회사 이메일|Main Email|Default Email|Preferred Email|Email address (optional)|Email [READ ONLY]|"
    "Mail (work)|Subscriber Email|Payer Email|Purchaser Email|Bill To Email|Billing Email Address|"
    "email (personal)|Lead Email|Person Email|Patron Email|Candidate Email|Alumni Email|Patient Email|"
    "Tenant Email|Player Email|Supporter Email|Volunteer Email|Preferred email|What is your preferred email?|"
    "Recommended Email|Direct Email|General email|Email of participant|Email del contacto|Correo del alumno|"
    "Correo institucional|E-mail institucional|Mail pro|Email de l'adhérent|E-mail di contatto|E-mail do aluno|"
    "E-mail des Teilnehmers|Pracovní e-mail|Arbejdsmail|Личная почта|Email участника|Kişisel e-posta|"
    "参加者メールアドレス|申請者のメールアドレス|个人邮箱|联系人邮箱|개인 이메일|Adresse electronique|"
    "Correo Electronico|Adresse e-mail (privee)|Email (e.g. ann@example.com)|E-mail (me@example.com)|"
    "Email (as on your ticket)|Email [please use your work address]|E-Mail (bitte leserlich)|"
    "Correo (ej: ana@example.com)"
)
NAMES: Final = listed(
    "Customer Name|Contact Name|Billing Name|Attendee Name|Full Name (required)|Your name|Name*|Client Name|"
    "Member Name|Student Name|Guest Name|Contact's Name|Name (required)|Contact Full Name|contact.name|"
    "Contact: Name|Person - Name|Participant Name|Legal Name|Name [Required]|Registrant Name|Employee Name|"
    "Buyer Name|User Full Name|user_display_name|Billing Full Name|Invitee Full Name|Name (Full)|Kundenname|"
    "Name des Kunden|Nom du client|Nombre del cliente|Nome do cliente|Naam klant|Subscriber Name|Donor Name|"
    "Name - Full|Full name (First and Last)|Name (First and Last)|First and Last Name|Name (First Last)|"
    "Primary Contact Name|Patient Name|Candidate Name|properties.name|Name/Nom|Name / Nom"
    "|Name (as per passport)|Full Name (as it appears on your ID)|Name (Last, First)|Nombre completo (como en el DNI)|"
    "氏名（漢字）|お名前（フルネーム）|Your full name (as on the certificate):|Name of Participant (please print)|"
    "Name Surname|Name & Surname (required)|Surname, Name|Last Name, First Name|First Last|Full Legal Name|Real Name|"
    "Vor-/Nachname|Vorname & Nachname|Nome do participante|Nome Sobrenome|Nombre y apellidos del alumno|Ваше имя|"
    "ФИО полностью|Adınız ve soyadınız|Imię i nazwisko uczestnika|参加者氏名|您的姓名|联系人姓名|신청자 성명|고객명"
)
#: Columns that are nobody's e-mail, or somebody else's.
NO_EMAILS: Final = listed(
    "Email Opt Out|Email Status|Email Marketing Consent|New Primary Email [UPLOAD ONLY]|Email Verified|Email Type|"
    "Email Label|E-mail 1 - Label|E-mail 1 - Type|Recovery Email|Manager Email|Owner Email|Contact Owner Email|"
    "Emergency contact email|Email (emergency contact)|Email (manager)|Assistant's Email|Parent Email|"
    "Guardian Email|Email (Parent)|Spouse Email|Agent Email|Assignee email|Sales Rep Email|Account Owner Email|"
    "Supervisor's email|Company Email Domain|Email Domain|Email Client|Email Subscriber|Email Subject|Email Count|"
    "Emails Sent|Email Sent|Last Email|Last Email Date|Email Opened|Email Bounced|Email bounce reason|"
    "Email Consent|Email permission status|Email subscriber status|Email Subscription Status|"
    "Unsubscribed from Emails|Accepts Email Marketing|Email hash|Email Source|Email Format|Email confirmed|"
    "Email disabled|Email notifications|Email language|Reply-To Email|From Email Address|To Email Address|"
    "Sender Email|Sent by email|Referrer Email|Referred by (email)|Host Email|Organizer Email|Support Email|"
    "Technical contact email|Creator Email|Created By Email|Email Display Name|Old Email|Previous Email|"
    "Former email address|Emailed|E-Mail-Typ|E-Mail: Angezeigter Name|Type de messagerie|"
    "Tipo de correo electrónico|E-posttype|電子メールの種類|电子邮件类型|전자 메일 유형|Gmail|Voicemail|"
    "Mailing Address|Mailing Street|Mail Code|Email 2|Secondary Email|Home Secondary Email|Alternate Email|"
    "Email (Yes/No)|Email Opt-In|EmailOptOut|Opt out email|Email Address Type|Email Address Status|email_verified|"
    "email_opt_in|is_email|has_email|email_count|Email Address Label|Email Marketing|Marketing Email|"
    "Marketing email opt-in|Email Updates|Email Newsletter|Email Preferences|Preferred Email Format|"
    "Email Signature|Email Template|Email Provider|Email valid|Valid Email|Email Valid?|Email Score|"
    "Email Confidence|Email Quality|Email Permission|Email Group|Email List|Email Lists|Email ID Verified|Mailbox|"
    "Mail Stop|Mail merge|Mail Status|Mail Address Type|Contact by email|Contact via Email|Prefer Email|"
    "Email (preferred contact method)|Do not email|Do Not Email|Email Text|Email value type|Email Notes|"
    "Next of kin email|Wife's email|Mother's Email|Father Email|Father's E-mail|Partner Email|Boss Email|"
    "Supervisor Email|Team Lead Email|Team email|Group email|Coach Email|Teacher Email|Advisor Email|"
    "Counselor Email|HR Email|Accountant Email|Lawyer Email|Accounts Payable Email|Invoice Email|Vendor Email|"
    "Supplier Email|Sponsor Email|Instructor Email|Case Manager Email|Account Manager Email|Sales Manager Email|"
    "Created by: Email|Modified By Email|Last modified by email|Inviter Email|Invited by Email|Approver Email|"
    "Reviewer Email|Recruiter Email|Manager (Email)|Owner - Email|owner.email|owner_email|manager_email|"
    "assignee.email|agent.email|createdBy.email|parent.email|emergencyContactEmail|contactOwnerEmail|Backup Email|"
    "Recovery e-mail|Rescue Email|Forwarding Email|Alias Email|Email alias|Proxy Email|Admin Email|"
    "Administrator email|Billing admin email|Parent/Guardian Email|Mail To|Mailto|Email To|Email From|Email CC|"
    "CC Email|Owner's Email|Company Email|Preferred contact email?|Preferred email?|Primary Email Source|"
    "Primary Email Catch-all Status|Primary Email Last Verified At|Email Confidence|Company Name for Emails|"
    "Non Primary E-mails|Emails received (6mo)|Email Lists|Alternate Email 1|Group Email [Required]|User Name|"
    "email1_is_bad|Email (ex-husband)|Email (manager, e.g. boss@example.net)|Email (as a backup)|Email (assistant)|"
    "Receive Review/Abandoned Cart Emails?|Do you have an email?|Can we email you?|Email Domain (main)"
)
#: Columns that are nobody's name, or somebody else's, or something else's.
NO_NAMES: Final = listed(
    "Company Name|User Name|Username|user_name|File Name|Street name|Assistant's name|Account owner|Account Name|"
    "Manager Name|Manager's Name|Owner Name|Contact Owner|Emergency contact name|Name of company|Company|Nickname|"
    "Middle Name|Maiden Name|Name Prefix|Name Suffix|Name (Prefix)|Phonetic First Name|Phonetic Last Name|"
    "Event Name|Product Name|Item Name|Lineitem name|Campaign name|List Name|Domain Name|Host name|Project name|"
    "Bank Name|Screen Name|Brand Name|Business Name|Organization name|Organisation Name|Vendor Name|School Name|"
    "Team Name|Group Name|Shipping Name|Recipient Name|Ship Name|Spouse Name|Parent Name|Parent First Name|"
    "Guardian Name|Child's First name|Organizer Name|Agent name|Card Name|Name on Card|Last Contact|First Contact|"
    "Last Contacted|First Order|Last Seen|Last Login|Lead Name|User profile name|Page Name|Form name|Source Name|"
    "Sheet name|Column name|Renamed|Benutzername|Firmenname|Dateiname|Name Assistent|Name des/der Vorgesetzten|"
    "Straßenname|Nom de l'assistant(e)|Nom d'utilisateur|Nom de la société|Nom du responsable|Nombre del director|"
    "Nombre de usuario|Nome dell'assistente|Nome utente|Nome da empresa|Nome do gerente|Naam assistent|"
    "Naam manager|Drugie imię|Nazwa firmy|Deuxième prénom|Segundo nombre|Secondo nome|Toinen nimi|Отчество|会社名|"
    "ユーザー名|件名|助理姓名|经理姓名|公司名称|회사명|사용자 이름|Ad|Customer ID Name|Customer Company Name|"
    "Contact Company Name|Name Type|Name ID|Contact Type Name|Customer Group Name|Name Pronunciation|Name Day|"
    "Nameday|User Name (login)|Login Name|login_name|Domain|Trade Name|DBA Name|Family Member Name|Pet Name|"
    "Dog's name|Child Name|Mother's Name|Father Name|Father's name|Husband Name|Next of kin name|Preferred Name|"
    "Maiden|Former Name|Old Name|Alias Name|Sales Rep Name|Salesperson Name|Team Member Name|Class Name|"
    "Course Name|Store Name|Location Name|Plan Name|Tier Name|Ticket Name|Venue Name|City Name|Country Name|"
    "State Name|Region Name|Department Name|Tag Name|Field Name|Attribute Name|Variant Name|Staff Name|"
    "Event Staff Name|contact_owner_name|owner.name|company.name|account.name|account_name|organization.name|"
    "product.name|event.name|list.name|createdBy.name|manager.name|user.name|lead.name|emergencyContactName|"
    "Contact First|Contact Last|Customer Last Order"
)


@pytest.mark.parametrize("header", EMAILS)
def test_an_email_is_found_whatever_qualifies_it(header: str) -> None:
    assert find(["Name", header]).emails == ((1,),)
    assert find(["name", header], is_table=False).emails == ((1,),)


@pytest.mark.parametrize("header", NAMES)
def test_a_name_is_found_whatever_qualifies_it(header: str) -> None:
    assert find(["Email", header]).names == ((1,),)
    assert find(["email", header], is_table=False).names == ((1,),)


@pytest.mark.parametrize("header", NO_EMAILS)
def test_a_column_of_something_elses_is_no_email(header: str) -> None:
    assert find(["Name", header]).emails == ()
    assert find(["name", header], is_table=False).emails == ()


@pytest.mark.parametrize("header", NO_NAMES)
def test_a_column_of_something_elses_is_no_name(header: str) -> None:
    assert find(["Email", header]).names == ()
    assert find(["email", header], is_table=False).names == ()


# Several columns


@pytest.mark.parametrize(
    ("header", "places"),
    [
        ("Name,Work Email,Personal Email", ((1,), (2,))),
        ("Name,Home Secondary Email,Personal Email,Work Email", ((2,), (3,), (1,))),
        ("Name,E-mail (work),Work - Email 2", ((1,), (2,))),
        ("Name,Email,Work Email", ((1,),)),
        ("Name,Mail,E-mail", ((2,), (1,))),
        ("Name,E-mail,Mail", ((1,), (2,))),
        ("Name,Mail,Primary Email,Secondary Email", ((1,), (2,), (3,))),
        ("Name,Email address,Email", ((2,), (1,))),
        ("Name,Correo,Dirección de correo electrónico", ((1,), (2,))),
        ("First,Last,Alternate Email 1,Email,Alternate Email 2", ((3,), (2,), (4,))),
        ("Name,Preferred contact email?,Work Email", ((2,), (1,))),
        ("Name,User principal name,Mail", ((2,),)),
        ("Name,User principal name,Work Email", ((2,),)),
        ("Name,User principal name", ((1,),)),
        ("Name,E-mail,Billing Email", ((1,),)),
        ("Name,Billing Email,Contact Email", ((1,), (2,))),
        ("Full Name,Contact: Email,user_email", ((1,), (2,))),
        # Whose it is shows in the name: the buyer is somebody else.
        ("Attendee Name,Buyer Email,Attendee Email", ((2,),)),
        ("Student Name,Student Email,Guest Email", ((1,),)),
    ],
)  # fmt: skip
def test_qualified_emails_of_one_person_rank_by_their_order(header: str, places: tuple[tuple[int, ...], ...]) -> None:
    assert find(header.split(",")).emails == places


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("Name,Contact Name,Contact Email", ((1,),)),
        ("Name,Email,Financial Status,Lineitem name,Billing Name,Shipping Name", ((4,),)),  # a shop's orders: #1001
        ("First Name,Last Name (optional),Email", ((0, 1),)),
        ("First Name [Required],Last Name,Email", ((0, 1),)),
        ("First Name,Billing Last Name,Email", ((0,),)),
        ("Billing Name,Shipping Name,Billing Email", ((0,),)),
        ("Attendee Name,Buyer Name,Buyer Email", ((1,),)),
        ("user.first_name,user.last_name,user.email", ((0, 1),)),
        ("customerFirstName,customerLastName,customerEmail", ((0, 1),)),
        ("Nom,Prénom,E-mail", ((1, 0),)),
        ("Nom,E-mail", ((0,),)),
        ("Nombre,E-mail", ((0,),)),
        ("Nombre,Apellidos,E-mail", ((0, 1),)),
        ("Nombre,Primer apellido,Segundo apellido,E-mail", ((0, 1, 2),)),
        ("Apellido 1,Apellido 2,Nombre,Email", ((2, 0, 1),)),
        ("NOMBRES,APELLIDO PATERNO,APELLIDO MATERNO,CORREO", ((0, 1, 2),)),
        ("Primer nombre,Segundo nombre,Primer apellido,Segundo apellido,Email", ((0, 2, 3),)),
        ("Nombre *,Primer apellido *,Segundo apellido *,Email", ((0, 1, 2),)),
        ("Voornaam,Tussenvoegsel,Achternaam,Email", ((0, 1, 2),)),
        ("Naam,Tussenvoegsel,E-mailadres", ((0,),)),
        ("Förnamn,Efternamn,Visa,E-post", ((2,), (0, 1))),
        ("Namn,Visa,E-post", ((0,),)),
        ("Etunimi,Sukunimi,Näyttönimi,Sähköposti,Näyttönimi", ((2,), (0, 1))),
        ("Nome,Cognome,E-mail", ((0, 1),)),
        ("Nome,Sobrenome,Apelido,E-mail", ((0, 1),)),
        ("Naam,E-mail", ((0,),)),
    ],
)  # fmt: skip
def test_the_name_is_that_of_the_person_with_the_email(header: str, names: tuple[tuple[int, ...], ...]) -> None:
    assert find(header.split(",")).names == names


@pytest.mark.parametrize(
    "header",
    [
        "Customer Name,Contact Name,Email",
        "Attendee Name,Buyer Name,Email",
        "Customer Name,Contact Name,Contact Email",
        "Billing First Name,Customer First Name,Billing Last Name,Email",
        "Customer First Name,Customer Last Name,Attendee First Name,Attendee Last Name,Email",
        "Name,Vorname,E-Mail",
        "Naam,Voornaam,E-mailadres",
        "Name,Mail,mail",
    ],
)
def test_more_than_one_candidate_stays_ambiguous(header: str) -> None:
    with pytest.raises(AmbiguousColumns):
        find(header.split(","))


def test_a_qualified_last_name_alone_is_refused() -> None:
    with pytest.raises(MissingColumns, match="Customer Last Name is half of a name"):
        find(["Customer Last Name", "Email"])


def test_the_reason_says_that_a_column_is_called_so_but_for_what_qualifies_it() -> None:
    found = find(header := ["Customer Name", "Billing Email"]).describe(header)
    assert found["name"]["reason"] == "one of the usual names for name, but for what qualifies it"
    assert found["email"] == {
        "columns": ["Billing Email"],
        "reason": "one of the usual names for email, but for what qualifies it",
    }
    assert find(["Vorname", "Nachname", "E-Mail"]).reasons[0] == "first and last name, joined"


# Names in Chinese, Japanese and Korean


@pytest.mark.parametrize(
    ("header", "first", "last", "name"),
    [
        ("名,姓,メールアドレス", "太郎", "山田", "山田太郎"),
        ("名,姓,メールアドレス", "さくら", "佐々木", "佐々木さくら"),
        ("名,姓,メールアドレス", "マイク", "スミス", "マイク スミス"),
        ("名,姓,メールアドレス", "Mike", "Smith", "Mike Smith"),
        ("名,姓,メールアドレス", "太郎", "", "太郎"),
        ("名字,姓氏,电子邮件地址", "小明", "王", "王小明"),
        ("이름,성,이메일", "민준", "김", "김민준"),
        ("First Name,Last Name,Email", "太郎", "山田", "太郎 山田"),
    ],
)
@pytest.mark.parametrize("format_name", ["csv", "ndjson"])
def test_chinese_japanese_and_korean_names_begin_with_the_last_name(
    header: str, first: str, last: str, name: str, format_name: str
) -> None:
    content = f"{header}\n{first},{last},ann@example.com\n"
    if format_name == "ndjson":
        content = json.dumps(dict(zip(header.split(","), [first, last, "ann@example.com"], strict=True))) + "\n"
    assert imported(format_name, content) == [(name, "ann@example.com")]


def test_a_header_that_is_called_exactly_so_wins_over_labels_above_it() -> None:
    head = "Customer name:,Acme,Contact email:,boss@example.net\n"
    assert imported("csv", f"{head}Name,City,Email\nAnn Lee,Bern,ann@example.com\n") == [("Ann Lee", "ann@example.com")]
