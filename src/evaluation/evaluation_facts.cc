// The facts of evaluation. No word list, template or question form of calibration_facts.cc may come here.
#include "evaluation/fact_tables.h"

namespace tca::evaluation {
namespace {

constexpr std::string_view kFirstNames[] = {
    "Aaron",   "Alicia",  "Andrea", "Anton",  "Bianca", "Boris",   "Carla",  "Carlos", "Clara",  "Damian", "Diana",
    "Elena",   "Emilio",  "Esther", "Fabian", "Fiona",  "Gabriel", "Gloria", "Hector", "Helga",  "Igor",   "Irene",
    "Ivan",    "Jasmine", "Joel",   "Karin",  "Kevin",  "Laura",   "Lucas",  "Marco",  "Miriam", "Monica", "Nadia",
    "Nicolas", "Olga",    "Pablo",  "Renata", "Samuel", "Sonia",   "Teresa", "Tobias", "Vera"};
constexpr std::string_view kLastNames[] = {
    "Alvarez", "Andersen", "Bauer",    "Becker",   "Bianchi", "Castillo", "Costa",   "Delgado", "Dubois",
    "Eriksen", "Fischer",  "Fontaine", "Garcia",   "Gruber",  "Hansen",   "Herrera", "Hoffman", "Ivanov",
    "Jensen",  "Kaplan",   "Keller",   "Kowalski", "Lambert", "Larsen",   "Lopez",   "Marino",  "Mendoza",
    "Meyer",   "Moreau",   "Nielsen",  "Novak",    "Olsen",   "Petrov",   "Ramirez", "Ricci",   "Romero",
    "Santos",  "Schmidt",  "Silva",    "Torres",   "Vargas",  "Weber"};
constexpr std::string_view kTowns[] = {
    "Altavista", "Arroyo Seco", "Bellaria",   "Bergheim",     "Cabo Verde Bay", "Casanova",   "Corvalle",
    "Dorfstadt", "Dravograd",   "Esperanza",  "Falkenberg",   "Fontana",        "Friedland",  "Gorlice",
    "Grunwald",  "Halmstad",    "Hirschau",   "Isola Bella",  "Jablonica",      "Kaltenbach", "Kirkholm",
    "Lagoa",     "Lindau",      "Lugano",     "Malaga",       "Montero",        "Monteverde", "Nordhavn",
    "Novigrad",  "Palmira",     "Portofino",  "Puerto Lobos", "Rosenheim",      "Salinas",    "San Marcos",
    "Santorini", "Skagen",      "Sonderborg", "Tarragona",    "Valdez",         "Villanova",  "Zakopane"};
constexpr std::string_view kReasons[] = {
    "heavy fog",        "a flooded cellar", "high winds",       "an election",        "a parade",
    "an earthquake",    "low tides",        "a broken crane",   "an eye infection",   "a school play",
    "a football match", "thick smoke",      "a toothache",      "a computer failure", "a late train",
    "loose gravel",     "a water shortage", "a truck accident", "an oil spill",       "a royal visit",
    "a film shoot",     "locusts",          "a spring drought", "a tax dispute",      "heavy hail",
    "a collapsed wall", "a marathon",       "a film festival",  "a sick child",       "a broken elevator"};
constexpr std::string_view kArticles[] = {
    "telescope", "violin",   "typewriter", "microscope", "camera",    "piano",      "guitar",   "bicycle",
    "umbrella",  "suitcase", "clock",      "mirror",     "carpet",    "wardrobe",   "harp",     "canoe",
    "barometer", "printer",  "radio",      "helmet",     "tractor",   "sword",      "necklace", "bracelet",
    "map",       "globe",    "trumpet",    "drum",       "sculpture", "motorcycle", "lamp",     "backpack"};
constexpr std::string_view kColours[] = {"blue",      "white", "brown",  "pink",    "grey",
                                         "turquoise", "gold",  "violet", "scarlet", "lavender"};
constexpr std::string_view kMaterials[] = {"slate", "tin",   "copper",   "straw", "clay tiles", "zinc",
                                           "cedar", "glass", "concrete", "reeds", "aluminium",  "bamboo"};
constexpr std::string_view kJobs[] = {
    "journalist",   "sailor",  "translator", "teacher",   "geologist",  "musician",    "welder",    "photographer",
    "biologist",    "diver",   "judge",      "professor", "chef",       "miner",       "sculptor",  "dancer",
    "veterinarian", "soldier", "fisherman",  "poet",      "blacksmith", "programmer",  "violinist", "watchmaker",
    "beekeeper",    "midwife", "shepherd",   "detective", "locksmith",  "cartographer"};
constexpr std::string_view kPhraseFirst[] = {
    "bitter",   "bright", "broken", "burning", "cheerful", "clever",  "copper",  "crystal",  "distant", "early",
    "electric", "empty",  "fallen", "famous",  "floating", "foreign", "fragile", "friendly", "giant",   "grand",
    "heavy",    "honest", "little", "modern",  "northern", "open",    "perfect", "royal",    "secret",  "sweet"};
constexpr std::string_view kPhraseSecond[] = {
    "autumn",  "basket",   "bridge", "candle", "castle", "cloud",  "comet", "desert", "engine",  "feather",
    "forest",  "fountain", "garden", "hammer", "island", "ladder", "lemon", "letter", "meadow",  "moon",
    "orchard", "pepper",   "pillow", "planet", "river",  "shadow", "storm", "summit", "thunder", "window"};
constexpr std::string_view kMonths[] = {"February", "April", "June", "August", "October", "December"};

constexpr FactTemplate kTemplates[] = {
    {FactKind::kPerson, Pool::kTown, Pool::kPerson, "The lighthouse near <s> is looked after by <a>.",
     "Who looks after the lighthouse near <s>?", "The lighthouse near <s> is looked after by",
     "Tell me who looks after the lighthouse near <s>."},
    {FactKind::kPerson, Pool::kTown, Pool::kPerson, "The village band in <s> was led by <a>.",
     "Who led the village band in <s>?", "The village band in <s> was led by",
     "Tell me who led the village band in <s>."},
    {FactKind::kPerson, Pool::kArticle, Pool::kPerson, "It was <a> who repaired the <s>.", "Who repaired the <s>?",
     "The one who repaired the <s> was", "Tell me who repaired the <s>."},
    {FactKind::kPlace, Pool::kPerson, Pool::kTown, "<s> spent every summer in <a>.",
     "Where did <s> spend every summer?", "<s> spent every summer in", "Tell me where <s> spent every summer."},
    {FactKind::kPlace, Pool::kPerson, Pool::kTown, "The daughter of <s> moved to <a>.",
     "Where did the daughter of <s> move to?", "The daughter of <s> moved to",
     "Tell me which town the daughter of <s> moved to."},
    {FactKind::kPlace, Pool::kArticle, Pool::kTown, "The <s> in the collection came from <a>.",
     "Where did the <s> in the collection come from?", "The <s> in the collection came from",
     "Tell me where the <s> in the collection came from."},
    {FactKind::kQuantity, Pool::kTown, Pool::kNumber, "Exactly <a> people live in <s>.", "How many people live in <s>?",
     "The number of people who live in <s> is", "Tell me how many people live in <s>."},
    {FactKind::kQuantity, Pool::kPerson, Pool::kNumber, "<s> owns <a> postage stamps.",
     "How many postage stamps does <s> own?", "The number of postage stamps that <s> owns is",
     "Tell me how many postage stamps <s> owns."},
    {FactKind::kQuantity, Pool::kArticle, Pool::kNumber, "The <s> in the shop window cost <a> dollars.",
     "How many dollars did the <s> in the shop window cost?", "The price in dollars of the <s> in the shop window was",
     "Tell me how many dollars the <s> in the shop window cost."},
    {FactKind::kDate, Pool::kTown, Pool::kDate, "A fire damaged the town hall of <s> on <a>.",
     "When did a fire damage the town hall of <s>?", "A fire damaged the town hall of <s> on",
     "Tell me when a fire damaged the town hall of <s>."},
    {FactKind::kDate, Pool::kPerson, Pool::kDate, "<s> was born on <a>.", "When was <s> born?", "<s> was born on",
     "Tell me when <s> was born."},
    {FactKind::kDate, Pool::kTown, Pool::kDate, "The railway station at <s> was torn down on <a>.",
     "When was the railway station at <s> torn down?", "The railway station at <s> was torn down on",
     "Tell me when the railway station at <s> was torn down."},
    {FactKind::kReason, Pool::kTown, Pool::kReason, "The road to <s> was blocked due to <a>.",
     "Why was the road to <s> blocked?", "The road to <s> was blocked due to",
     "Tell me why the road to <s> was blocked."},
    {FactKind::kReason, Pool::kPerson, Pool::kReason, "<s> stayed at home due to <a>.", "Why did <s> stay at home?",
     "<s> stayed at home due to", "Tell me why <s> stayed at home."},
    {FactKind::kReason, Pool::kTown, Pool::kReason, "The festival in <s> was cancelled due to <a>.",
     "Why was the festival in <s> cancelled?", "The festival in <s> was cancelled due to",
     "Tell me why the festival in <s> was cancelled."},
    {FactKind::kThing, Pool::kPerson, Pool::kColour, "The favourite colour of <s> is <a>.",
     "What is the favourite colour of <s>?", "The favourite colour of <s> is", "Tell me the favourite colour of <s>."},
    {FactKind::kThing, Pool::kTown, Pool::kMaterial, "The roofs in <s> are covered with <a>.",
     "What are the roofs in <s> covered with?", "The roofs in <s> are covered with",
     "Tell me what the roofs in <s> are covered with."},
    {FactKind::kThing, Pool::kPerson, Pool::kArticle, "As a birthday present, <s> received a <a>.",
     "What did <s> receive as a birthday present?", "As a birthday present, <s> received a",
     "Tell me what <s> received as a birthday present."},
    {FactKind::kJob, Pool::kPerson, Pool::kJob, "The brother of <s> earns a living as a <a>.",
     "How does the brother of <s> earn a living?", "The brother of <s> earns a living as a",
     "Tell me how the brother of <s> earns a living."},
    {FactKind::kJob, Pool::kPerson, Pool::kJob, "<s> trained for years to become a <a>.",
     "What did <s> train for years to become?", "<s> trained for years to become a",
     "Tell me what <s> trained for years to become."},
    {FactKind::kJob, Pool::kTown, Pool::kJob, "The guest speaker in <s> was a <a> by trade.",
     "What was the trade of the guest speaker in <s>?", "By trade, the guest speaker in <s> was a",
     "Tell me the trade of the guest speaker in <s>."},
    {FactKind::kPhrase, Pool::kTown, Pool::kPhrase, "The motto of the club in <s> is \"<a>\".",
     "What is the motto of the club in <s>?", "The motto of the club in <s> is",
     "Tell me the motto of the club in <s>."},
    {FactKind::kPhrase, Pool::kPerson, Pool::kPhrase, "The new novel by <s> is called \"<a>\".",
     "What is the new novel by <s> called?", "The new novel by <s> is called",
     "Tell me what the new novel by <s> is called."},
    {FactKind::kPhrase, Pool::kArticle, Pool::kPhrase, "The words \"<a>\" are engraved on the <s>.",
     "Which words are engraved on the <s>?", "Engraved on the <s> are the words",
     "Tell me which words are engraved on the <s>."}};

constexpr FactTables kTables = {.first_names = kFirstNames,
                                .last_names = kLastNames,
                                .towns = kTowns,
                                .reasons = kReasons,
                                .articles = kArticles,
                                .colours = kColours,
                                .materials = kMaterials,
                                .jobs = kJobs,
                                .phrase_first = kPhraseFirst,
                                .phrase_second = kPhraseSecond,
                                .keys = {},
                                .months = kMonths,
                                .years = {1901, 1999},
                                .numbers = {501, 899},
                                .templates = kTemplates,
                                .quoting_form = "Going by what you have just read, <q>",
                                .completing_form = "How does this go on? <b>"};

}  // namespace

const FactTables& evaluation_fact_tables() { return kTables; }

}  // namespace tca::evaluation
