"""The header rows of programs, as they write them: two contacts below each come in as they are, whatever else is there.

This table stands for itself: nothing of it is made of the names that the code knows. Google Workspace's users, Outlook
in Polish and Thunderbird's rows are as their files have them; the others are recalled, some of them in part.
"""

# ruff: noqa: RUF001 - the letters of other alphabets are meant

import csv
import io
import json
from typing import Final

import pytest

from dataflow.errors import AmbiguousColumns, MissingColumns
from dataflow.formats import Findings, headers, read_blocks
from dataflow.formats.columns import find
from dataflow.formats.comparison import normalise
from dataflow.formats.header_names import TABLE
from dataflow.formats.reading import Reading

pytestmark = pytest.mark.unit

#: `+` marks the columns of the first name, `-` of the last name, `*` of all of it and `@` of the e-mail.
PROGRAMS: Final = {
    "Google Workspace users": "+First Name [Required],-Last Name [Required],@Email Address [Required],"
    "Password [Required],"
    "Org Unit Path [Required],New Primary Email [UPLOAD ONLY],Status [READ ONLY],Last Sign In [READ ONLY],"
    "Recovery Email,"
    "Home Secondary Email,Work Secondary Email,Recovery Phone [MUST BE IN THE E.164 FORMAT],Work Phone,Manager Email",
    "Google Contacts": "+First Name,Middle Name,-Last Name,Phonetic First Name,Phonetic Last Name,Name Prefix,"
    "Name Suffix,"
    "Nickname,*File As,Organization Name,E-mail 1 - Label,@E-mail 1 - Value,Phone 1 - Value",
    "Shopify customers": "Customer ID,+First Name,-Last Name,@Email,Accepts Email Marketing,Default Address Company,"
    "Default Address Address1,Accepts SMS Marketing,Total Spent,Tags",
    "WooCommerce orders": "Order Number,Order Status,Order Date,Customer Note,+First Name (Billing),"
    "-Last Name (Billing),"
    "Company (Billing),Address 1&2 (Billing),City (Billing),@Email (Billing),Phone (Billing),First Name (Shipping),"
    "Last Name (Shipping),Address 1&2 (Shipping),Payment Method Title,Item Name",
    "WooCommerce orders, underscored": "order_id,order_number,status,+billing_first_name,-billing_last_name,"
    "billing_company,@billing_email,billing_phone,shipping_first_name,shipping_last_name,item_name",
    "Stripe payments": "id,Created date (UTC),Amount,Status,"
    "Customer ID,Customer Description,@Customer Email,*Customer Name",
    "Stripe customers": "id,Description,@Email,*Name,Created (UTC),Delinquent,Card ID,Card Name,Plan",
    "Eventbrite": "Order #,Order Date,+First Name,-Last Name,@Email,Quantity,Ticket Type,Buyer First Name,"
    "Buyer Last Name,"
    "Buyer Email",
    "Eventbrite, older": "Order no.,+Attendee First Name,-Attendee Surname,@Attendee Email,Event Name,Ticket Type",
    "Calendly": "Team,User Email,*Invitee Name,Invitee First Name,Invitee Last Name,@Invitee Email,Invitee Time Zone,"
    "Event Type Name,Start Date & Time",
    "Zendesk": "id,*name,@email,role,Organization name,External ID",
    "Zendesk tickets": "Ticket ID,Subject,Assignee,*Requester name,@Requester email,Organization name,Assignee email",
    "Intercom": "*Name,@Email,Phone,User ID,First seen,Last seen,Email domain,Unsubscribed from Emails",
    "Pipedrive": "*Person - Name,Person - Label,Person - Organization,@Person - Email - Work,Person - Email - Home,"
    "Person - Email - Other,Person - Phone - Work,Person - Owner",
    "Zoho CRM": "Record Id,Contact Owner.id,Contact Owner,Lead Source,+First Name,-Last Name,Account Name,Vendor Name,"
    "@Email,Title,Email Opt Out,Secondary Email,Created By",
    "ActiveCampaign": "@Email,+First Name,-Last Name,Phone,Organization,Tags,IP",
    "Constant Contact": "+First name,-Last name,Company,Job title,@Email address - home,Email status,"
    "Email permission status,Email update source,Source Name,Created At",
    "Klaviyo": "@Email,Klaviyo ID,+First Name,"
    "-Last Name,Organization,Email Marketing Consent,Email Marketing Timestamp",
    "Brevo": "CONTACT ID,@EMAIL,+FIRSTNAME,-LASTNAME,SMS,EMAIL_BLACKLISTED,ADDED_TIME",
    "Brevo in French": "ID,@EMAIL,-NOM,+PRENOM,SMS,LISTES",
    "MailerLite": "@Email,+First name,-Last name,Company,Subscribed,Opt-in IP",
    "Kit": "+first_name,@email,state,created_at,cancelled",
    "GetResponse": "@email,*name,created on,campaign name,origin",
    "Campaign Monitor": "*Name,@Email Address,Date Joined,Email Client,List Name",
    "Drip": "id,status,@email,+first_name,-last_name,eu_consent,original_referrer",
    "Freshdesk": "*Full name,Title,Company,@Email,Work phone,Other emails,Unique external ID",
    "Freshdesk tickets": "Ticket ID,Subject,Agent,*Contact Name,@Contact Email,Company Name",
    "Dynamics 365": "(Do Not Modify) Contact,(Do Not Modify) Row Checksum,(Do Not Modify) Modified On,"
    "*Full Name,@Email,"
    "Company Name,Business Phone",
    "Airtable form": "*Your Name,@Your Email,Attachments,Created",
    "Typeform": "#,+First name,-Last name,Phone number,@Email,Response Type,Start Date (UTC)",
    "SurveyMonkey": "Respondent ID,Collector ID,Date Created,IP Address,"
    "@Email Address,+First Name,-Last Name,Custom Data 1",
    "Google Forms": "Timestamp,@Email Address,*What is your name?,Any remarks?",
    "Microsoft Forms": "ID,Start time,Completion time,@Email,*Name,Your team's name",
    "Jotform": "Submission Date,+Full Name - First Name,-Full Name - Last Name,@E-mail,Submission IP",
    "Gravity Forms": "Name (Prefix),+Name (First),Name (Middle),-Name (Last),@Email,Entry Id,Source Url",
    "Gravity Forms, confirmed": "+Name (First),-Name (Last),@Email (Enter Email),Consent (Consent),Entry Id",
    "WordPress users": "ID,user_login,@user_email,user_nicename,*display_name,first_name,last_name,user_status",
    "Drupal": "uid,Username,*Full name,@Mail,Roles,Status",
    "Moodle": "username,+firstname,-lastname,@email,idnumber,institution",
    "Moodle grades": "+First name,-Last name,ID number,Institution,@Email address,Course total (Real)",
    "Slack": "username,@email,status,billing-active,has-2fa,has-sso,userid,*fullname,displayname",
    "Zoom attendees": "*Name (Original Name),@User Email,Join Time,Leave Time,Duration (Minutes),Guest",
    "Zoom registrants": "+First Name,-Last Name,@Email,Registration Time,Approval Status",
    "Atlassian": "User id,*Full name,@email,User status,Last seen in Jira",
    "GitHub education": "identifier,github_username,*student name,@student email",
    "Okta": "login,@email,+firstName,-lastName,secondEmail,manager,managerId,status",
    "Entra users": "userPrincipalName,*displayName,surname,@mail,givenName,objectId,userType,accountEnabled",
    "Xero": "ContactName,AccountNumber,@EmailAddress,+FirstName,-LastName,POAttentionTo,POAddressLine1",
    "QuickBooks": "*Name,Company name,Street Address,City,Phone,@Email,Attachments,Open Balance",
    "QuickBooks, older": "*Customer full name,Company name,Bill address,@Customer Email,Phone numbers",
    "Square": "Reference ID,+First Name,-Last Name,@Email Address,Phone Number,Nickname,Company Name,Birthday,"
    "Email Subscription Status",
    "Squarespace orders": "Order ID,@Email,Financial Status,"
    "Lineitem name,*Billing Name,Billing Address1,Shipping Name",
    "Wix": "+First Name,-Last Name,@Email 1,Email 2,Phone 1,Address 1 - Type,Email subscriber status",
    "Patreon": "*Name,@Email,Twitter,Discord,Patron Status,Follows You,Lifetime Amount",
    "Substack": "@Email,*Name,Active Subscription,Email disabled,Created at",
    "Ghost": "id,@email,*name,note,subscribed_to_emails,stripe_customer_id",
    "Discourse": "id,*name,username,@email,title,created_at,trust_level",
    "Meetup": "*Name,User ID,Title,@Member Email,Joined Group on,Last visited group on",
    "Notion": "*Name,Created time,@E-mail,Tags,Company name",
    "monday.com": "*Name,Subitems,Owner,Status,@Email,Company name",
    "Insightly": "RecordId,Salutation,+FirstName,-LastName,Organization,@EmailAddress,AssistantName",
    "Copper": "Copper ID,*Name,First Name,Last Name,Title,Company,@Email,Email Type,Email 2,Email 2 Type,Owned By",
    "Copper, numbered": "*Name,Company,@Email 1,Email 1 Type,Email 2,Email 2 Type,Owned By",
    "Close": "id,lead_id,lead_name,*contact_name,title,@primary_email,primary_phone",
    "Keap": "Id,+First Name,-Last Name,@Email,Email Status,Email Address 2,Company,Owner ID",
    "Capsule": "ID,Type,Title,+First Name,"
    "-Last Name,Job Title,Organisation,@Email Address (Work),Email Address (Home)",
    "Nimble": "+first name,-last name,company name,@email: work,email: personal,phone: mobile,owner",
    "Yahoo": "+First,Middle,-Last,Nickname,@Email,Category,Distribution Lists,Messenger ID,Home",
    "Fastmail": "Title,+First Name,-Last Name,Nickname,Company,@Email,Email - Other",
    "Amazon": "order-id,purchase-date,@buyer-email,*buyer-name,buyer-phone-number,recipient-name,product-name",
    "Etsy": "Sale Date,Order ID,+First Name,-Last Name,Ship Name,@Buyer Email,Street 1",
    "Mailchimp, nested in a dump": "member.id,@member.email_address,"
    "+member.first_name,-member.last_name,member.status",
    "Snov": "*Full name,Company name,Position,@Work email,Personal email,Email status",
    "Typeform, quoted": "#,*What's your name?,@What's your email address?,Network ID",
}  # fmt: skip

LANGUAGES: Final = {
    "German Outlook": "Anrede;+Vorname;Weitere Vornamen;-Nachname;Firma;Name Assistent;@E-Mail-Adresse;E-Mail-Typ;"
    "E-Mail: Angezeigter Name;E-Mail 2: Adresse;Name des/der Vorgesetzten;Telefon geschäftlich;Benutzer 1",
    "German Thunderbird": "+Vorname,-Nachname,*Anzeigename,Spitzname,@Primäre E-Mail-Adresse,Sekundäre E-Mail-Adresse",
    "German form": "Zeitstempel,@E-Mail-Adresse,*Vor- und Nachname,Bemerkung",
    "French Outlook": "Titre,+Prénom,Deuxième prénom,-Nom,Suffixe,Société,Nom de l'assistant(e),@Adresse de messagerie,"
    "Type de messagerie,Nom complet de l'adresse de messagerie,Adresse de messagerie 2,Nom du responsable",
    "French Thunderbird": "+Prénom,-Nom de famille,*Nom à afficher,Surnom,@Adresse électronique principale,"
    "Adresse électronique secondaire",
    "French form": "Horodateur,@Adresse e-mail,*Nom,Commentaire",
    "French form with marks": "Horodateur,-Nom (obligatoire),+Prénom (obligatoire),@Adresse e-mail (obligatoire)",
    "Spanish Outlook": "Título,+Nombre,Segundo nombre,-Apellidos,Sufijo,Organización,Nombre del ayudante,"
    "@Dirección de correo electrónico,Tipo de correo electrónico,Nombre para mostrar de correo electrónico,"
    "Dirección de correo electrónico 2,Nombre del director",
    "Spanish Thunderbird": "+Nombre,-Apellidos,*Nombre en pantalla,Apodo,@Dirección de correo electrónico principal,"
    "Dirección de correo electrónico secundaria",
    "Spanish form": "Marca temporal,@Dirección de correo electrónico,*Nombre y apellidos",
    "Spanish list": "*Nombre,@Correo electrónico,Teléfono",
    "Italian Outlook": "Titolo,+Nome,Secondo nome,-Cognome,Titolo straniero,Società,Nome dell'assistente,"
    "@Indirizzo posta elettronica,Tipo posta elettronica,Nome visualizzato posta elettronica,Nome del responsabile",
    "Italian Thunderbird": "+Nome,-Cognome,*Nome visualizzato,Soprannome,@E-mail primaria,E-mail secondaria",
    "Italian form": "Informazioni cronologiche,@Indirizzo email,*Nome e cognome",
    "Brazilian Outlook": "Título,+Nome,Segundo nome,-Sobrenome,Sufixo,Empresa,Nome do assistente,@Endereço de email,"
    "Tipo de email,Nome de exibição do email,Nome do gerente",
    "Brazilian Thunderbird": "+Primeiro nome,-Sobrenome,*Apresentar como,Apelido,@E-mail primário,E-mail secundário",
    "Brazilian form": "Carimbo de data/hora,@Endereço de e-mail,*Nome completo",
    "Portuguese Outlook": "Título,+Nome Próprio,Segundo Nome,-Apelido,Sufixo,Empresa,@Endereço de correio electrónico,"
    "Endereço de correio electrónico 2,Nome do Assistente",
    "Portuguese list": "+Nome,-Apelido,@Correio eletrónico,Telefone",
    "Dutch Outlook": "Titel,+Voornaam,Middelste naam,-Achternaam,Achtervoegsel,Bedrijf,Naam assistent,@E-mailadres,"
    "E-mailtype,Weergavenaam voor e-mail,E-mailadres 2,Naam manager",
    "Dutch Thunderbird": "+Voornaam,-Achternaam,*Weergavenaam,Bijnaam,@Primair e-mailadres,Secundair e-mailadres",
    "Polish Outlook": "Tytuł,+Imię,Drugie imię,-Nazwisko,Firma,Oddział,Ulica (biuro),@Adres e-mail,Kategorie,Notatki",
    "Polish Thunderbird": "+Imię,-Nazwisko,*Wyświetlana nazwa,Pseudonim,@Podstawowy e-mail,Dodatkowy e-mail",
    "Polish form": "Sygnatura czasowa,@Adres e-mail,*Imię i nazwisko",
    "Czech Outlook": "Oslovení,+Jméno,Druhé jméno,-Příjmení,Titul za jménem,Společnost,Jméno asistenta,"
    "@E-mailová adresa,"
    "Typ e-mailu,Zobrazované jméno e-mailu,E-mailová adresa 2",
    "Czech Thunderbird": "+Křestní jméno,-Příjmení,*Zobrazené jméno,Přezdívka,@První e-mail,Druhý e-mail",
    "Czech form": "Časová značka,@E-mailová adresa,*Jméno a příjmení",
    "Swedish Outlook": "Titel,+Förnamn,Mellannamn,-Efternamn,Suffix,Företag,Assistentens namn,@E-postadress,E-posttyp,"
    "Visningsnamn för e-post,E-postadress 2",
    "Swedish Thunderbird": "+Förnamn,-Efternamn,Visa,Smeknamn,@E-post,Ytterligare e-post",
    "Danish Outlook": "Titel,+Fornavn,Mellemnavn,-Efternavn,Suffiks,Firma,Assistents navn,@E-mail-adresse,E-mail-type,"
    "Vist navn for e-mail,E-mail 2-adresse",
    "Danish form": "Tidsstempel,@Mailadresse,*Navn",
    "Norwegian Outlook": "Tittel,+Fornavn,Mellomnavn,-Etternavn,Suffiks,Firma,Navn på assistent,@E-postadresse,"
    "E-posttype,Visningsnavn for e-post,E-postadresse 2",
    "Norwegian form": "Tidsmerke,@E-postadresse,*Navn",
    "Finnish Outlook": "Titteli,+Etunimi,Toinen nimi,-Sukunimi,Yritys,Avustajan nimi,@Sähköpostiosoite,"
    "Sähköpostin tyyppi,"
    "Sähköpostin näyttönimi,Sähköpostiosoite 2",
    "Finnish Thunderbird": "+Etunimi,-Sukunimi,*Näytettävä nimi,"
    "Lempinimi,@Ensisijainen sähköposti,Toissijainen sähköposti",
    "Russian Outlook": "Обращение,+Имя,Отчество,-Фамилия,Суффикс,Организация,Имя помощника,@Адрес эл. почты,"
    "Тип эл. почты,Краткое имя эл. почты,Адрес 2 эл. почты",
    "Russian Thunderbird": "+Имя,-Фамилия,*Отображаемое имя,Псевдоним,@Адрес электронной почты,"
    "Альтернативный адрес электронной почты",
    "Russian form": "Отметка времени,@Адрес электронной почты,*ФИО",
    "Turkish Outlook": "Unvan,+Ad,İkinci Ad,-Soyadı,Şirket,Yardımcının Adı,@E-posta Adresi,E-posta Türü,"
    "E-posta Görünen Adı,E-posta 2 Adresi",
    "Turkish Thunderbird": "+İsim,-Soyadı,*Görüntülenecek isim,Takma adı,@Birinci e-posta,İkinci e-posta",
    "Turkish form": "Zaman damgası,@E-posta Adresi,*Ad Soyad",
    "Japanese Outlook": "役職,+名,ミドル ネーム,-姓,敬称,"
    "会社名,部署,@電子メール アドレス,電子メールの種類,電子メール表示名,電子メール 2 アドレス",
    "Japanese Thunderbird": "+名,-姓,*表示名,ニックネーム,@メールアドレス,別のメールアドレス",
    "Japanese form": "タイムスタンプ,@メールアドレス,*お名前（必須）,会社名",
    "Chinese Outlook": "称谓,+名,中间名,-姓,后缀,单位,"
    "部门,@电子邮件地址,电子邮件类型,电子邮件显示名称,电子邮件 2 地址,助理的姓名,经理姓名",
    "Chinese roundcube": "头衔,+名字,中间名,-姓氏,公司,助理姓名,@电子邮件地址,电子邮件地址2",
    "Chinese form": "提交时间,*姓名（必填）,@邮箱（必填）,公司名称",
    "Traditional Chinese Outlook": "稱謂,+名字,中間名,-姓氏,尊稱,"
    "公司,@電子郵件地址,電子郵件類型,電子郵件顯示名稱,電子郵件 2 地址",
    "Traditional Chinese Thunderbird": "+名,-姓,*顯示名稱,暱稱,@主要 Email,次要 Email",
    "Korean Outlook": "직함,+이름,중간 이름,-성,호칭,"
    "회사,부서,@전자 메일 주소,전자 메일 유형,전자 메일 표시 이름,전자 메일 2 주소",
    "Korean Thunderbird": "+이름,-성,*표시명,애칭,@기본 메일,추가 메일",
    "Korean form": "타임스탬프,@이메일 주소,*성명 (필수)",
}

CONTACTS: Final = (("Ann", "Lee", "ann@example.com"), ("Zoë", "Wiśniewska", "zoe@example.org"))


ROWS: Final = {**PROGRAMS, **LANGUAGES}


def cells_of(row: str) -> list[str]:
    return row.split(";" if row.count(";") > row.count(",") else ",")


def value(cell: str, first: str, last: str, address: str) -> str:
    """What a contact has in a column; in those that are not marked, what must not be taken."""
    marked = {"+": first, "-": last, "*": f"{first} {last}", "@": address}
    return marked.get(cell[0], "boss@example.net" if "mail" in cell.lower() else "Somebody Else")


def table(row: str) -> tuple[list[str], list[list[str]]]:
    """A header row as a program writes it, and the rows of the contacts."""
    cells = cells_of(row)
    header = [cell.lstrip("+-@*") for cell in cells]
    return header, [[value(cell, *contact) for cell in cells] for contact in CONTACTS]


def expected(row: str) -> list[tuple[str, str]]:
    marks = {cell[0] for cell in cells_of(row)}
    has_whole = "*" in marks or {"+", "-"} <= marks
    return [(f"{first} {last}" if has_whole else first, address) for first, last, address in CONTACTS]


def imported(format_name: str, content: str) -> list[tuple[object, object]]:
    blocks = read_blocks(format_name, [content.encode()], Reading(1024 * 1024), Findings())
    return [pair for block in blocks for pair in zip(block.names, block.emails, strict=True)]


@pytest.mark.parametrize("program", ROWS)
def test_a_programs_header_row_with_two_contacts_imports_both(program: str) -> None:
    header, rows = table(ROWS[program])
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    assert imported("csv", text.getvalue()) == expected(ROWS[program])


@pytest.mark.parametrize("program", ROWS)
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
    for role, listed, language, source in TABLE:
        assert role in headers.LISTED
        assert language
        assert source
        for name in listed.split("|"):
            assert known.setdefault(normalise(name), role) == role, name
    assert {normalise(name) for name in known} == {*known}


def test_at_least_thirty_programs_and_twenty_languages_are_there() -> None:
    assert len(PROGRAMS) >= 50
    assert len({name.rpartition(" ")[0] for name in LANGUAGES}) >= 20


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
    "Tenant Email|Player Email|Supporter Email|Volunteer Email"
)
NAMES: Final = listed(
    "Customer Name|Contact Name|Billing Name|Attendee Name|Full Name (required)|Your name|Name*|Client Name|"
    "Member Name|Student Name|Guest Name|Contact's Name|Name (required)|Contact Full Name|contact.name|"
    "Contact: Name|Person - Name|Participant Name|Legal Name|Name [Required]|Registrant Name|Employee Name|"
    "Buyer Name|User Full Name|user_display_name|Billing Full Name|Invitee Full Name|Name (Full)|Kundenname|"
    "Name des Kunden|Nom du client|Nombre del cliente|Nome do cliente|Naam klant|Subscriber Name|Donor Name|"
    "Name - Full|Full name (First and Last)|Name (First and Last)|First and Last Name|Name (First Last)|"
    "Primary Contact Name|Patient Name|Candidate Name|properties.name|Name/Nom|Name / Nom"
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
    "CC Email|Owner's Email|Company Email"
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
