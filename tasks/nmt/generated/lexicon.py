"""Words of the generated corpus, in English and in German, with what German inflects them by.

An English word stands for one German word, so that a translation is right or wrong; nouns of the
weak declension ("den Nachbarn") are left out.
"""

from typing import Literal, NamedTuple

Gender = Literal["m", "f", "n"]


class Noun(NamedTuple):
    """A noun: its English singular and plural; German gender, singular and plural."""

    en: str
    ens: str
    gender: Gender
    de: str
    des: str


class Verb(NamedTuple):
    """A verb: English base, past and participle; German infinitive, past and participle."""

    en: str
    past: str
    participle: str
    infinitive: str
    vergangenheit: str
    partizip: str


def _nouns(table: str) -> tuple[Noun, ...]:
    rows = [line.split() for line in table.strip().splitlines()]
    return tuple(Noun(en, ens, gender, de, des) for en, ens, gender, de, des in rows)  # type: ignore[arg-type]


def _verbs(table: str) -> tuple[Verb, ...]:
    return tuple(Verb(*line.split()) for line in table.strip().splitlines())


def _words(table: str) -> dict[str, str]:
    return dict(line.split() for line in table.strip().splitlines())


PERSONS = _nouns("""
father fathers m Vater Väter
mother mothers f Mutter Mütter
brother brothers m Bruder Brüder
sister sisters f Schwester Schwestern
uncle uncles m Onkel Onkel
aunt aunts f Tante Tanten
child children n Kind Kinder
girl girls n Mädchen Mädchen
king kings m König Könige
queen queens f Königin Königinnen
teacher teachers f Lehrerin Lehrerinnen
doctor doctors f Ärztin Ärztinnen
baker bakers m Bäcker Bäcker
butcher butchers m Metzger Metzger
engineer engineers f Ingenieurin Ingenieurinnen
driver drivers m Fahrer Fahrer
gardener gardeners m Gärtner Gärtner
painter painters f Malerin Malerinnen
judge judges m Richter Richter
cook cooks f Köchin Köchinnen
trader traders m Händler Händler
friend friends m Freund Freunde
officer officers m Offizier Offiziere
guest guests m Gast Gäste
pupil pupils f Schülerin Schülerinnen
writer writers f Schriftstellerin Schriftstellerinnen
singer singers m Sänger Sänger
farmer farmers f Bäuerin Bäuerinnen
customer customers f Kundin Kundinnen
thief thieves m Dieb Diebe
""")
THINGS = _nouns("""
book books n Buch Bücher
letter letters m Brief Briefe
key keys m Schlüssel Schlüssel
lamp lamps f Lampe Lampen
table tables m Tisch Tische
door doors f Tür Türen
window windows n Fenster Fenster
car cars n Auto Autos
ship ships n Schiff Schiffe
house houses n Haus Häuser
knife knives n Messer Messer
wheel wheels n Rad Räder
machine machines f Maschine Maschinen
clock clocks f Uhr Uhren
bag bags f Tasche Taschen
picture pictures n Bild Bilder
crate crates f Kiste Kisten
ball balls m Ball Bälle
bridge bridges f Brücke Brücken
pen pens m Stift Stifte
chair chairs m Stuhl Stühle
dress dresses n Kleid Kleider
coat coats m Mantel Mäntel
boat boats n Boot Boote
ring rings m Ring Ringe
map maps f Karte Karten
newspaper newspapers f Zeitung Zeitungen
apple apples m Apfel Äpfel
egg eggs n Ei Eier
flower flowers f Blume Blumen
tree trees m Baum Bäume
bottle bottles f Flasche Flaschen
cup cups f Tasse Tassen
plate plates m Teller Teller
fork forks f Gabel Gabeln
stone stones m Stein Steine
bell bells f Glocke Glocken
basket baskets m Korb Körbe
hat hats m Hut Hüte
shoe shoes m Schuh Schuhe
""")
VERBS = _verbs("""
see saw seen sehen sah gesehen
buy bought bought kaufen kaufte gekauft
sell sold sold verkaufen verkaufte verkauft
find found found finden fand gefunden
lose lost lost verlieren verlor verloren
carry carried carried tragen trug getragen
bring brought brought bringen brachte gebracht
count counted counted zählen zählte gezählt
need needed needed brauchen brauchte gebraucht
hide hid hidden verstecken versteckte versteckt
repair repaired repaired reparieren reparierte repariert
wash washed washed waschen wusch gewaschen
paint painted painted malen malte gemalt
send sent sent schicken schickte geschickt
take took taken nehmen nahm genommen
show showed shown zeigen zeigte gezeigt
clean cleaned cleaned reinigen reinigte gereinigt
collect collected collected sammeln sammelte gesammelt
measure measured measured messen maß gemessen
throw threw thrown werfen warf geworfen
destroy destroyed destroyed zerstören zerstörte zerstört
draw drew drawn zeichnen zeichnete gezeichnet
praise praised praised loben lobte gelobt
""")
MOTIONS = _verbs("""
travel traveled traveled reisen reiste gereist
fly flew flown fliegen flog geflogen
flee fled fled fliehen floh geflohen
hurry hurried hurried eilen eilte geeilt
""")
ADJECTIVES = _words("""
red rot
old alt
new neu
small klein
big groß
short kurz
long lang
heavy schwer
light leicht
beautiful schön
cheap billig
famous berühmt
clean sauber
dirty schmutzig
white weiß
black schwarz
green grün
blue blau
yellow gelb
round rund
""")
HUMAN = _words("""
old alt
young jung
small klein
big groß
famous berühmt
tired müd
happy glücklich
clever klug
rich reich
poor arm
quiet still
brave tapfer
proud stolz
friendly freundlich
lazy faul
""")
MODALS = {
    "can": "kann",
    "must": "muss",
    "wants to": "will",
    "may": "darf",
    "should": "sollte",
}
SAYING = {"says": "sagt", "knows": "weiß", "hopes": "hofft", "believes": "glaubt", "hears": "hört"}
