// The facts of calibration. No word list, template or question form of evaluation_facts.cc may come here.
#include "evaluation/fact_tables.h"

namespace tca::evaluation {
namespace {

constexpr std::string_view kFirstNames[] = {
    "Agnes",    "Albert",  "Amelia",  "Arthur",    "Beatrice",  "Bernard",  "Cecilia", "Conrad",   "Daphne",
    "Desmond",  "Edith",   "Edmund",  "Elsie",     "Ernest",    "Felicity", "Francis", "Gertrude", "Gilbert",
    "Harriet",  "Horace",  "Imogen",  "Isaac",     "Josephine", "Julian",   "Lavinia", "Leonard",  "Lydia",
    "Magnus",   "Matilda", "Maurice", "Millicent", "Nathan",    "Octavia",  "Oswald",  "Penelope", "Percival",
    "Rosalind", "Rupert",  "Sybil",   "Walter",    "Wilfred",   "Winifred"};
constexpr std::string_view kLastNames[] = {
    "Abbott",   "Appleby",   "Barlow",    "Bellamy",   "Bramley",  "Burgess",  "Carver",   "Chadwick", "Colby",
    "Cromwell", "Dawson",    "Drake",     "Ellison",   "Fairfax",  "Fenwick",  "Garland",  "Goodwin",  "Hadley",
    "Hargrove", "Hartley",   "Holloway",  "Ingram",    "Jarvis",   "Kendrick", "Langford", "Lockwood", "Maddox",
    "Merriman", "Norwood",   "Oakley",    "Pemberton", "Prescott", "Quigley",  "Radford",  "Sheldon",  "Stanhope",
    "Tindall",  "Underhill", "Wakefield", "Whitlock",  "Woodward", "Yardley"};
constexpr std::string_view kTowns[] = {
    "Alderbrook",     "Ambleford",  "Ashcombe",    "Barnsworth", "Birchley",    "Blackmere",   "Bramford",
    "Brookhaven",     "Calderwick", "Chesterfold", "Cliffden",   "Copperfield", "Dunmore",     "Eastholm",
    "Elmstead",       "Fairhollow", "Fernley",     "Foxbury",    "Glenmoor",    "Greywater",   "Hazelton",
    "Heathrow Green", "Highcliff",  "Ivybridge",   "Kingsford",  "Larkhill",    "Lindale",     "Longmarsh",
    "Maplewood",      "Millbrook",  "Netherby",    "Oakhampton", "Pinecrest",   "Ravensworth", "Redmarsh",
    "Rosedale",       "Silverton",  "Stonebridge", "Thornbury",  "Underwood",   "Westmere",    "Willowby"};
constexpr std::string_view kReasons[] = {
    "a broken boiler",  "a burst pipe",   "a fallen tree",    "a flat tyre",      "a gas leak",      "a power cut",
    "a lost key",       "a bad cold",     "a dead battery",   "a snowdrift",      "a rail strike",   "a missing permit",
    "a swarm of bees",  "a leaking roof", "a wrong address",  "a sudden frost",   "a torn sail",     "a wasp nest",
    "a family wedding", "a dust storm",   "a stolen bicycle", "a jammed lock",    "a fuel shortage", "a twisted ankle",
    "an ice storm",     "a rockslide",    "a bomb alarm",     "a cracked window", "a staff outing",  "a chimney fire"};
constexpr std::string_view kArticles[] = {
    "wooden flute",  "brass compass", "leather saddle", "copper kettle", "glass vase",     "silver spoon",
    "wicker basket", "straw hat",     "iron anchor",    "clay pitcher",  "velvet cushion", "woollen scarf",
    "paper lantern", "rocking chair", "garden rake",    "fishing rod",   "sewing machine", "tea tray",
    "coffee mill",   "candle holder", "picture frame",  "music stand",   "walking stick",  "water jug",
    "bread knife",   "toy train",     "chess board",    "hunting horn",  "butter churn",   "spinning wheel",
    "weather vane",  "snow globe"};
constexpr std::string_view kColours[] = {"red",    "yellow", "green",  "black", "purple",
                                         "silver", "beige",  "maroon", "navy",  "orange"};
constexpr std::string_view kMaterials[] = {"granite", "bronze", "marble", "oak",    "limestone", "ivory",
                                           "plaster", "pewter", "jade",   "walnut", "sandstone", "porcelain"};
constexpr std::string_view kJobs[] = {"plumber",     "dentist",  "carpenter",   "baker",    "lawyer",    "pilot",
                                      "tailor",      "butcher",  "nurse",       "barber",   "postman",   "surgeon",
                                      "florist",     "mechanic", "librarian",   "farmer",   "jeweller",  "bricklayer",
                                      "chemist",     "gardener", "waiter",      "banker",   "policeman", "bookseller",
                                      "taxi driver", "painter",  "hairdresser", "optician", "fireman",   "roofer"};
constexpr std::string_view kPhraseFirst[] = {
    "amber",  "brave",   "calm",   "crimson", "curious", "dancing", "dusty",  "eager",  "frozen", "gentle",
    "golden", "hidden",  "hollow", "humble",  "jolly",   "lonely",  "lucky",  "marble", "mellow", "misty",
    "noble",  "patient", "purple", "quiet",   "rapid",   "rusty",   "silent", "sleepy", "velvet", "wild"};
constexpr std::string_view kPhraseSecond[] = {
    "badger", "beaver", "bison",   "camel",   "cobra",  "crane",  "donkey",  "dragon", "eagle",   "falcon",
    "ferret", "goose",  "hamster", "heron",   "jackal", "koala",  "lemur",   "lizard", "lobster", "magpie",
    "moose",  "otter",  "panther", "pelican", "rabbit", "salmon", "sparrow", "tiger",  "turtle",  "walrus"};
constexpr std::string_view kKeys[] = {
    "timeout",     "retries",       "cache_size",   "max_users",   "port",          "log_level",
    "batch_size",  "poll_interval", "queue_depth",  "page_size",   "font_size",     "volume",
    "brightness",  "frame_rate",    "buffer_size",  "threads",     "session_hours", "backup_days",
    "row_limit",   "upload_limit",  "grace_period", "margin",      "line_width",    "zoom",
    "sample_rate", "fan_speed",     "water_level",  "alarm_delay", "shutter_speed", "idle_minutes"};
constexpr std::string_view kMonths[] = {"January", "March", "May", "July", "September", "November"};

constexpr FactTemplate kTemplates[] = {
    {FactKind::kPerson, Pool::kTown, Pool::kPerson, "The bakery in <s> belongs to <a>.", "Who owns the bakery in <s>?",
     "The bakery in <s> belongs to", "Name the owner of the bakery in <s>."},
    {FactKind::kPerson, Pool::kTown, Pool::kPerson, "The old mill at <s> was restored by <a>.",
     "Who restored the old mill at <s>?", "The old mill at <s> was restored by",
     "Name the person who restored the old mill at <s>."},
    {FactKind::kPerson, Pool::kArticle, Pool::kPerson, "The prize for the finest <s> went to <a>.",
     "Who won the prize for the finest <s>?", "The prize for the finest <s> went to",
     "Name the winner of the prize for the finest <s>."},
    {FactKind::kPlace, Pool::kPerson, Pool::kTown, "<s> grew up in <a>.", "Where did <s> grow up?", "<s> grew up in",
     "Name the town in which <s> grew up."},
    {FactKind::kPlace, Pool::kPerson, Pool::kTown, "<s> keeps a small boat at <a>.",
     "Where does <s> keep a small boat?", "<s> keeps a small boat at", "Name the place where <s> keeps a small boat."},
    {FactKind::kPlace, Pool::kArticle, Pool::kTown, "The museum's <s> was dug up near <a>.",
     "Where was the museum's <s> dug up?", "The museum's <s> was dug up near",
     "Name the place where the museum's <s> was dug up."},
    {FactKind::kQuantity, Pool::kTown, Pool::kNumber, "The choir of <s> has <a> members.",
     "How many members does the choir of <s> have?", "The number of members of the choir of <s> is",
     "Name the number of members of the choir of <s>."},
    {FactKind::kQuantity, Pool::kPerson, Pool::kNumber, "<s> planted <a> apple trees.",
     "How many apple trees did <s> plant?", "The number of apple trees that <s> planted is",
     "Name the number of apple trees that <s> planted."},
    {FactKind::kQuantity, Pool::kTown, Pool::kNumber, "The bridge at <s> is <a> metres long.",
     "How many metres long is the bridge at <s>?", "The length in metres of the bridge at <s> is",
     "Name the length of the bridge at <s> in metres."},
    {FactKind::kDate, Pool::kTown, Pool::kDate, "The market hall of <s> opened on <a>.",
     "When did the market hall of <s> open?", "The market hall of <s> opened on",
     "Name the date on which the market hall of <s> opened."},
    {FactKind::kDate, Pool::kPerson, Pool::kDate, "<s> signed the contract on <a>.", "When did <s> sign the contract?",
     "<s> signed the contract on", "Name the date on which <s> signed the contract."},
    {FactKind::kDate, Pool::kArticle, Pool::kDate, "The <s> was sold at auction on <a>.",
     "When was the <s> sold at auction?", "The <s> was sold at auction on",
     "Name the date on which the <s> was sold at auction."},
    {FactKind::kReason, Pool::kTown, Pool::kReason, "The school in <s> closed early because of <a>.",
     "Why did the school in <s> close early?", "The school in <s> closed early because of",
     "Name the reason why the school in <s> closed early."},
    {FactKind::kReason, Pool::kPerson, Pool::kReason, "<s> missed the concert because of <a>.",
     "Why did <s> miss the concert?", "<s> missed the concert because of",
     "Name the reason why <s> missed the concert."},
    {FactKind::kReason, Pool::kTown, Pool::kReason, "The ferry to <s> was late because of <a>.",
     "Why was the ferry to <s> late?", "The ferry to <s> was late because of",
     "Name the reason why the ferry to <s> was late."},
    {FactKind::kThing, Pool::kPerson, Pool::kColour, "<s> painted the front door <a>.",
     "What colour did <s> paint the front door?", "The colour that <s> painted the front door is",
     "Name the colour that <s> painted the front door."},
    {FactKind::kThing, Pool::kTown, Pool::kMaterial, "The statue in <s> is made of <a>.",
     "What is the statue in <s> made of?", "The statue in <s> is made of", "Name the material of the statue in <s>."},
    {FactKind::kThing, Pool::kPerson, Pool::kArticle, "<s> brought a <a> to the fair.",
     "What did <s> bring to the fair?", "To the fair <s> brought a", "Name the thing that <s> brought to the fair."},
    {FactKind::kJob, Pool::kPerson, Pool::kJob, "<s> works as a <a>.", "What does <s> work as?", "<s> works as a",
     "Name the occupation of <s>."},
    {FactKind::kJob, Pool::kPerson, Pool::kJob, "The father of <s> had been a <a>.", "What had the father of <s> been?",
     "The father of <s> had been a", "Name the occupation of the father of <s>."},
    {FactKind::kJob, Pool::kTown, Pool::kJob, "The mayor of <s> was once a <a>.", "What was the mayor of <s> once?",
     "The mayor of <s> was once a", "Name the former occupation of the mayor of <s>."},
    {FactKind::kPhrase, Pool::kTown, Pool::kPhrase, "The password for the archive in <s> is \"<a>\".",
     "What is the password for the archive in <s>?", "The password for the archive in <s> is",
     "Name the password for the archive in <s>."},
    {FactKind::kPhrase, Pool::kPerson, Pool::kPhrase, "The locker of <s> opens with the words \"<a>\".",
     "Which words open the locker of <s>?", "The locker of <s> opens with the words",
     "Name the words that open the locker of <s>."},
    {FactKind::kPhrase, Pool::kArticle, Pool::kPhrase, "The label on the <s> reads \"<a>\".",
     "What does the label on the <s> read?", "The label on the <s> reads",
     "Name the two words on the label of the <s>."},
    {FactKind::kListLine, Pool::kPerson, Pool::kNumber, "- <s>: <a>", "How many hours did <s> volunteer?",
     "The hours that <s> volunteered are", "Name the number of hours that <s> volunteered.",
     "Volunteers and their hours:"},
    {FactKind::kListLine, Pool::kPerson, Pool::kArticle, "- <s>: <a>", "What is <s> going to pack?",
     "On the packing list, <s> has a", "Name what <s> has on the packing list.", "Packing list by traveller:"},
    {FactKind::kListLine, Pool::kTown, Pool::kDate, "* <s> (<a>)", "When is the fair in <s>?", "The fair in <s> is on",
     "Name the date of the fair in <s>.", "Dates of this season's fairs:"},
    {FactKind::kTableRow, Pool::kPerson, Pool::kJob, "| <s> | <a> |", "What trade does the table give for <s>?",
     "The trade of <s> in the table is", "Name the trade that the table gives for <s>.", "| name | trade |\n|---|---|"},
    {FactKind::kTableRow, Pool::kTown, Pool::kNumber, "| <s> | <a> |", "How many visitors does the table give for <s>?",
     "The number of visitors of <s> in the table is", "Name the number of visitors that the table gives for <s>.",
     "| town | visitors |\n|---|---|"},
    {FactKind::kTableRow, Pool::kArticle, Pool::kColour, "| <s> | <a> |",
     "What colour does the table give for the <s>?", "The colour of the <s> in the table is",
     "Name the colour that the table gives for the <s>.", "| item | colour |\n|---|---|"},
    {FactKind::kDialogue, Pool::kPerson, Pool::kArticle, "<s>: I would choose the <a>.", "What would <s> choose?",
     "<s> would choose the", "Name the thing that <s> would choose.", "What they said about the raffle:"},
    {FactKind::kDialogue, Pool::kPerson, Pool::kTown, "<s>: My train goes to <a>.", "Where does the train of <s> go?",
     "The train of <s> goes to", "Name the town to which the train of <s> goes.", "On the platform:"},
    {FactKind::kDialogue, Pool::kPerson, Pool::kReason, "<s>: I came late because of <a>.", "Why did <s> come late?",
     "<s> came late because of", "Name the reason why <s> came late.", "At the club's meeting:"},
    {FactKind::kSetting, Pool::kKey, Pool::kNumber, "set_<s>(<a>)", "What value is passed to set_<s>?",
     "The value passed to set_<s> is", "Name the value that is passed to set_<s>.", "# start-up script"},
    {FactKind::kSetting, Pool::kKey, Pool::kNumber, "<s> = <a>", "What value does <s> have in the settings file?",
     "In the settings file, <s> is", "Name the value of <s> in the settings file.", "[settings]"},
    {FactKind::kSetting, Pool::kKey, Pool::kNumber, "  --<s>=<a>", "What value does the command line give for <s>?",
     "On the command line, <s> is", "Name the value that the command line gives for <s>.", "./server"}};

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
                                .keys = kKeys,
                                .months = kMonths,
                                .years = {1801, 1899},
                                .numbers = {101, 499},
                                .templates = kTemplates,
                                .quoting_form = "According to the document, <q>",
                                .completing_form = "Complete the sentence: \"<b> ...\""};

}  // namespace

const FactTables& calibration_fact_tables() { return kTables; }

}  // namespace tca::evaluation
