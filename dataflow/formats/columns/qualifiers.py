"""Headers that say more than what the column is: `Email Address [Required]`, `Billing Email`, `attendee.first_name`.

The words that may stand around the usual names are from the header rows in tests/data/header_rows.tsv, each with its
source. Any other word makes it another column, as in `Email Status` or `Manager Email`.
"""

# ruff: noqa: RUF001 - the letters of other alphabets are meant

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

from dataflow.formats.columns.comparison import without_accents


def _words(text: str) -> list[str]:
    """Words, and those again whose accents a program has lost, unless they are other words then."""
    words = text.split()
    return [*words, *(plain for word in words if len(plain := without_accents(word)) > 3)]


#: Words that change nothing: marks of forms, questions, articles.
_MARKS: Final = _words(
    "required optional mandatory readonly primary main default your my our enter please whatis whats the legal value "
    "current 0 1 properties fields attributes erforderlich pflichtfeld pflicht freiwillig ihr ihre deine dein "
    "obligatoire requis facultatif votre obligatorio obligatoria opcional requerido obbligatorio facoltativo "
    "obrigatório verplicht optioneel wymagane opcjonalne povinné povinne nepovinné obligatorisk obligatoriskt "
    "valgfri valgfritt pakollinen valinnainen обязательно обязательное zorunlu 必須 必填 选填 選填 任意 필수 선택 of "
    "ofthe de del dela du des della di da der van の 的 您 你 ваш ваша ваше полностью"
)
_KINDS: Final = _words(
    "work business office corporate professional home personal private school university preferred best general "
    "direct recommended institutional geschäftlich geschäftliche dienstlich dienstliche private persönliche "
    "aziendale privat arbeit beruflich bureau travail professionnel professionnelle personnel personnelle domicile "
    "pro perso trabajo laboral particular institucional corporativo corporativa istituzionale istituzionali lavoro "
    "personale casa ufficio trabalho pessoal comercial werk zakelijk privé privée thuis służbowy służbowe praca domowy "
    "dom biuro prywatny práce domů pracovní soukromý osobní arbete jobb hem arbejde arbejds hjem arbeid työ koti "
    "рабочий рабочая раб домашний домашняя личный личная корпоративный корпоративная iş kişisel kurumsal 会社 自宅 "
    "勤務先 個人 携帯 工作 公司 住家 家庭 商务 个人 私人 회사 자택 개인 직장"
)
_LATER: Final = frozenset(_words("secondary alternate alternative additional other another backup 2 3 4 5"))
#: `Preferred contact email?` asks for yes or no, unless it asks what, or for yours.
_CHOICES: Final = frozenset({"preferred"})
_ASKS_WHAT: Final = frozenset({"whatis", "whats", "your"})
#: Words of one set may mean the same person, those of different sets do not.
_PERSONS: Final = {
    word + ending: person
    for ending in ("", "s")  # `Customer's Email`
    for person, words in {
        "customer": "contact customer client person user subscriber member lead billing billto buyer purchaser payer "
        "patron donor supporter profile ticketbuyer requester kunde kunden kontakt rechnung deskunden mitglied "
        "ansprechpartner duclient acheteur adhérent abonné membre delcliente cliente docliente docontato contacto "
        "contatto contato socio sócio miembro comprador klant klanten contactpersoon lid klient klienta członka kund "
        "medlem asiakas jäsen zákazník zákazníka člen клиента покупателя контакта müşteri üye お客様 会員 고객 회원 "
        "客户 客戶 会员 會員 联系人 聯絡人",
        "attendee": "attendee participant registrant invitee guest delegate ticketholder teilnehmer teilnehmers gast "
        "invité inscrit participante doparticipante partecipante iscritto inscrito asistente deelnemer uczestnik "
        "uczestnika účastník účastníka deltagare deltager deltaker osallistuja участника katılımcı 参加者 参会人 "
        "參加者 참가자",
        "respondent": "respondent applicant candidate volunteer patient tenant resident player alumni passenger "
        "bewerber candidat candidato 申込者 申請者 回答者 応募者 신청자",
        "student": "student learner pupil schüler étudiant élève alumno alumna aluno aluna doaluno estudiante "
        "studente alunno leerling uczeń ucznia student studenta elev opiskelija студента ученика öğrenci 学生 學生 "
        "生徒 학생",
        "employee": "employee mitarbeiter salarié empleado dipendente funcionário colaborador medewerker pracownik "
        "pracownika сотрудника çalışan personel 社員 员工 員工 직원",
    }.items()
    for word in _words(words)
}
#: Whose plain name is that of an account or a company.
_NAMELESS: Final = frozenset({"user", "lead", "profile"})
_PLAIN_NAMES: Final = frozenset({"name", "nom", "nombre", "nome", "naam", "navn", "namn"})
#: As in `Name - First Name` or `Name (Original Name)`.
_TWICE: Final = ("name", "fullname", "displayname", "originalname", "firstandlast", "firstlast", "lastfirst")
#: A mail program, and whether somebody gets mails.
_NO_EMAILS: Final = frozenset({"emailclient", "emailsubscriber", "emailprofile"})
#: Longer headers are prose.
MAX_CHARACTERS: Final = 80


@dataclass(frozen=True, slots=True)
class Qualified:
    role: str
    person: str  #: whose it is; empty when it does not say
    is_later: bool  #: an address that others come before
    is_choice: bool  #: yes or no, if it is a question

    def asked(self) -> "Qualified":
        return replace(self, is_later=True) if self.is_choice else self


class _Patterns(NamedTuple):
    email: Callable[[str], re.Match[str] | None]
    name: Callable[[str], re.Match[str] | None]
    words: Callable[[str], list[str]]


class Qualifiers:
    """The usual names, with whatever may qualify them; `roles` are those of normalised names."""

    def __init__(self, roles: Mapping[str, str]) -> None:
        self._roles = {name: role for name, role in roles.items() if not _is_short(name)}

    # Compiled for the first header that needs them: they would be a tenth of the time that a process takes to begin.
    @cached_property
    def _patterns(self) -> _Patterns:
        emails = [name for name, role in self._roles.items() if role == "email"]
        around_names = [*_MARKS, *_PERSONS]
        around_emails = [*around_names, *_KINDS, *_LATER, "email"]
        is_email = _pattern(emails, around_emails)
        is_name = _pattern(self._roles.keys() - {*emails}, [*around_names, *_TWICE])
        return _Patterns(is_email, is_name, re.compile(_any_of(around_emails)).findall)

    def read(self, name: str) -> Qualified | None:
        if len(name) > MAX_CHARACTERS:
            return None
        patterns = self._patterns
        found = patterns.email(name) or patterns.name(name)
        if not found:
            return None
        before, core, after = found.groups()
        words = {*patterns.words(before), *patterns.words(after)}
        persons = {_PERSONS[word] for word in words if word in _PERSONS}
        if len(persons) > 1 or name in _NO_EMAILS or (core in _PLAIN_NAMES and words & _NAMELESS):
            return None
        is_choice = not words.isdisjoint(_CHOICES) and words.isdisjoint(_ASKS_WHAT)
        return Qualified(self._roles[core], min(persons, default=""), not words.isdisjoint(_LATER), is_choice)


def _is_short(name: str) -> bool:
    """Whether it may be part of other words: `Last Contact` is no last name."""
    return name in ("first", "last", "given") or (len(name) < 3 and name.isascii())


def _any_of(words: Iterable[str]) -> str:
    """Any of the words, the longest first, grouped by first letter: each alternative of a pattern is tried in turn."""
    by_letter: dict[str, list[str]] = {}
    for word in sorted(words, key=len, reverse=True):
        by_letter.setdefault(word[0], []).append(re.escape(word[1:]))
    return "|".join(f"{re.escape(letter)}(?:{'|'.join(rests)})" for letter, rests in by_letter.items())


def _pattern(names: Iterable[str], words: Iterable[str]) -> Callable[[str], re.Match[str] | None]:
    around = f"(?:{_any_of(words)})"
    # As little as can be before it: `Name Surname` is one name, and no surname.
    return re.compile(f"({around}{{0,4}}?)({_any_of(names)})({around}{{0,4}})").fullmatch
