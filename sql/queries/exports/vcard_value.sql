-- What follows the name of a property, within exports/vcard.sql. A value that readers could take for something else goes
-- byte by byte, as version 2.1 has it: with a control character, a blank at its ends, a `=`, or like the beginning or
-- the end of a card.
CASE WHEN {value} ~* '[\x01-\x1f\x7f=]|:\s*vcard|^\s|\s$'
     THEN ';CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:'
          || regexp_replace(upper(encode(convert_to({value}, 'UTF8'), 'hex')), '(..)', '=\1', 'g')
     ELSE ':' || {value} END
