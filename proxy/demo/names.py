"""Names, towns and streets the synthetic patients are made of. Nobody is meant."""

from __future__ import annotations

from typing import Final

LAST_NAMES: Final = tuple(
    """MARTIN BERNARD THOMAS PETIT ROBERT RICHARD DURAND DUBOIS MOREAU LAURENT SIMON MICHEL LEFEBVRE
LEROY ROUX DAVID BERTRAND MOREL FOURNIER GIRARD BONNET DUPONT LAMBERT FONTAINE ROUSSEAU VINCENT
MULLER LEFEVRE FAURE ANDRE MERCIER BLANC GUERIN BOYER GARNIER CHEVALIER FRANCOIS LEGRAND GAUTHIER
GARCIA PERRIN ROBIN CLEMENT MORIN NICOLAS HENRY ROUSSEL MATHIEU GAUTIER MASSON MARCHAND DUVAL DENIS
DUMONT MARIE LEMAIRE NOEL MEYER DUFOUR MEUNIER BRUN BLANCHARD GIRAUD JOLY RIVIERE LUCAS BRUNET
GAILLARD BARBIER ARNAUD MARTINEZ GERARD ROCHE RENARD SCHMITT ROY LEROUX COLIN VIDAL CARON PICARD
ROGER FABRE AUBERT LEMOINE RENAUD DUMAS LACROIX OLIVIER PHILIPPE BOURGEOIS PIERRE BENOIT REY LECLERC
PAYET ROLLAND LECLERCQ GUILLAUME LECOMTE LOPEZ JEAN DUPUY GUILLOT HUBERT BERGER CARPENTIER SANCHEZ
DUPUIS MOULIN LOUIS DESCHAMPS HUET VASSEUR PEREZ BOUCHER FLEURY ROYER KLEIN JACQUET ADAM PARIS
POIRIER MARTY AUBRY GUYOT CARRE CHARLES RENAULT CHARPENTIER MENARD MAILLARD BARON BERTIN BAILLY
HERVE SCHNEIDER FERNANDEZ LEGER BOUVIER JULIEN PREVOST MILLET PERROT DANIEL COUSIN GERMAIN
BRETON BESSON LANGLOIS REMY PELLETIER LEVEQUE PERRIER LEBLANC BARRE LEBRUN MARCHAL WEBER MALLET
HAMON BOULANGER JACOB MONNIER MICHAUD RODRIGUEZ GUICHARD GILLET ETIENNE GRONDIN POULAIN TESSIER
CHEVALLIER COLLIN CHAUVIN BOUCHET GAY LEMAITRE BENARD MARECHAL HUMBERT REYNAUD ANTOINE HOARAU
LE_GALL LE_GOFF LE_ROUX TANGUY KERMAREC L'HOSTIS RIOU GUEGUEN LE_BIHAN JAOUEN QUEMENER CORRE MADEC
KERBRAT LE_CORRE LE_BRIS PRIGENT COLLOBERT GOURVENNEC KERVELLA LE_MEUR ROPARS SALAUN CADIOU BOZEC
KEROMNES LE_DANTEC GUILLOU CONAN LE_FLOCH MORVAN JEGO QUERE ABGRALL""".replace("_", "\v").split()
)
"""Frequent French and Breton family names; a vertical tab stands for the space within a name."""

_BORN_BEFORE_1950: Final = (
    (
        "Jeannine Monique Simone Denise Yvette Odette Paulette Therese Jacqueline Madeleine Andree "
        "Suzanne Anne-Marie Marie Soizic Annick"
    ),
    (
        "Jean Andre Rene Marcel Roger Pierre Louis Georges Henri Robert Raymond Yves Joseph Michel "
        "Fernand Corentin"
    ),
)
_BORN_1950_TO_1974: Final = (
    (
        "Martine Catherine Francoise Chantal Nathalie Isabelle Sylvie Brigitte Patricia Valerie "
        "Veronique Christine Sophie Corinne Gwenaelle Rozenn"
    ),
    (
        "Michel Philippe Alain Patrick Thierry Christophe Laurent Pascal Eric Didier Bruno "
        "Dominique Stephane Yannick Ronan Herve"
    ),
)
_BORN_1975_TO_1999: Final = (
    (
        "Céline Aurélie Émilie Stéphanie Julie Élodie Laura Camille Marine Pauline Marion Anaïs "
        "Nolwenn Maëlle Sarah Audrey"
    ),
    (
        "Nicolas Julien Sébastien Kévin Thomas Romain Alexandre Maxime Anthony Jérémy Guillaume "
        "Erwan Gaël Mickaël Benoît Yann"
    ),
)
_BORN_SINCE_2000: Final = (
    "Emma Léa Chloé Manon Jade Louise Alice Lina Inès Zoé Rose Anna Maëlys Lena Énora Soline",
    "Lucas Hugo Nathan Enzo Gabriel Raphaël Léo Louis Arthur Jules Malo Noé Ethan Ewen Titouan Tom",
)
FIRST_NAMES: Final = tuple(
    tuple(tuple(sex.split()) for sex in generation)
    for generation in (
        _BORN_BEFORE_1950,
        _BORN_1950_TO_1974,
        _BORN_1975_TO_1999,
        _BORN_SINCE_2000,
    )
)
"""By generation (0 oldest), then by sex (0 women, 1 men)."""


def generation(year: int) -> int:
    """Return the index into ``FIRST_NAMES`` for a year of birth."""
    return sum(year >= start for start in (1950, 1975, 2000))


TOWNS: Final = (
    ("56000", "Vannes"), ("56000", "Vannes"), ("56100", "Lorient"), ("56100", "Lorient"),
    ("56400", "Auray"), ("56300", "Pontivy"), ("56800", "Ploërmel"), ("56600", "Lanester"),
    ("56700", "Hennebont"), ("56270", "Ploemeur"), ("56860", "Séné"), ("56890", "Saint-Avé"),
    ("56340", "Carnac"), ("56170", "Quiberon"), ("56500", "Locminé"), ("56110", "Gourin"),
    ("35000", "Rennes"), ("35000", "Rennes"), ("35200", "Rennes"), ("35700", "Rennes"),
    ("35400", "Saint-Malo"), ("35300", "Fougères"), ("35500", "Vitré"), ("35600", "Redon"),
    ("35800", "Dinard"), ("35170", "Bruz"), ("35510", "Cesson-Sévigné"),
    ("29200", "Brest"), ("29200", "Brest"), ("29000", "Quimper"), ("29600", "Morlaix"),
    ("29900", "Concarneau"), ("29100", "Douarnenez"), ("29800", "Landerneau"),
    ("29270", "Carhaix-Plouguer"), ("29300", "Quimperlé"),
    ("22000", "Saint-Brieuc"), ("22000", "Saint-Brieuc"), ("22300", "Lannion"),
    ("22100", "Dinan"), ("22200", "Guingamp"), ("22600", "Loudéac"), ("22500", "Paimpol"),
    ("22400", "Lamballe-Armor"), ("45000", "Orléans"), ("45200", "Montargis"), ("27000", "Évreux"),
    ("41000", "Blois"),
)  # fmt: skip
"""(post code, town); a town that stands twice is twice as likely."""

STREETS: Final = (
    "rue de la Paix", "rue des Lilas", "rue Pasteur", "avenue Foch", "rue du Port",
    "impasse du Port", "rue de l'Église", "place de la Mairie", "rue Victor Hugo",
    "rue Jean Jaurès", "chemin du Moulin", "rue des Écoles", "allée des Chênes",
    "rue du Général Leclerc", "boulevard Solférino", "rue Anne de Bretagne", "rue du Stade",
    "rue des Ajoncs", "route de Vannes", "rue de Brest", "quai de Rohan", "rue du Lavoir",
    "venelle de Kergoat", "rue des Korrigans", "hameau de Kerlann", "lieu-dit Kerguelen",
    "rue Surcouf", "rue Duguay-Trouin", "rue du Calvaire", "rue des Bruyères", "rue Mozart",
    "rue de Bel-Air",
)  # fmt: skip

INSURERS: Final = ("MGEN", "Harmonie Mutuelle", "AG2R", "Malakoff Humanis", "MACIF", "MNH", r"\N")

BIRTHPLACES: Final = (
    # (department as in the NIR, highest commune number, weight); the leak's lab served Brittany
    ("56", 262, 34), ("45", 347, 12), ("27", 691, 10), ("22", 389, 10), ("35", 362, 12),
    ("29", 302, 12), ("41", 295, 3), ("44", 224, 6), ("49", 383, 2), ("50", 648, 2), ("53", 276, 2),
    ("75", 120, 5), ("92", 78, 2), ("13", 119, 2), ("69", 293, 2), ("59", 684, 2), ("31", 595, 2),
    ("2A", 362, 2), ("2B", 366, 2), ("974", 24, 2), ("971", 34, 1), ("972", 34, 1), ("99", 518, 4),
)  # fmt: skip
