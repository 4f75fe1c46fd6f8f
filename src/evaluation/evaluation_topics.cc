// The text of evaluation. No sentence of calibration_topics.cc may come here.
#include "evaluation/fact_tables.h"

namespace tca::evaluation {
namespace {

constexpr std::string_view kHarbour[] = {
    "{Fishing|Cargo|Pilot} boats {return|come in|tie up} with the {tide|first light|evening current}, their "
    "{decks|holds} {full of|stacked with|smelling of} {nets|crates|herring}.",
    "The {breakwater|pier|outer mole} was {extended|strengthened|rebuilt} after the {great|long|second} "
    "{storm|winter}, at {considerable|enormous|little} {cost|expense}.",
    "{Gulls|Cormorants|Terns} {circle|scream|quarrel} above the {fish sheds|masts|cranes} from {dawn to dusk|the "
    "moment the hatches open}.",
    "A {tug|ferry|dredger} {needs|takes} {roughly|barely|well over} {twenty minutes|an hour} to {turn|clear the "
    "channel|reach the buoy} in {calm|rough|crowded} waters.",
    "{Ropes|Cables|Chains} are {inspected|greased|replaced} {every few months|at regular intervals|whenever they "
    "fray}, because {salt|friction|neglect} {ruins|weakens|wears out} them.",
    "The {crew|dockers|customs officers} {drank|argued|laughed} in the {canteen|warehouse|lee of the wall} while "
    "{containers|barrels|sacks} were {weighed|lowered|moved}.",
    "At {low|high|spring} water the {mud|steps|old wreck} {appears|vanishes|can be seen} {below|beyond} the "
    "{slipway|swing bridge}.",
    "{Tourists|Painters|Pensioners} {sit|linger|sketch} on the {promenade|harbour wall|benches}, {hoping|waiting} for "
    "{a yacht|the mail boat|a good catch} to {appear|arrive}."};
constexpr std::string_view kHistory[] = {
    "The {monastery|fortress|town wall} {dates from|was begun in|goes back to} the {eleventh|fourteenth|sixteenth} "
    "century, but {little|only the chapel|hardly a stone} {survives|is original}.",
    "{Chroniclers|Scholars|Later writers} {disagree|remain uncertain|have long argued} about {who built|why the king "
    "sold|when people left} the {palace|settlement|first bridge}.",
    "{Taxes|Grain|Salt} {paid for|financed|decided} {most|many} of the {wars|alliances|cathedrals} of that "
    "{age|period|dynasty}.",
    "A {treaty|charter|decree} {granted|promised|confirmed} the {citizens|guilds|peasants} the right to {hold "
    "fairs|carry arms|elect a council}.",
    "{Archaeologists|Students|Volunteers} {uncovered|catalogued|cleaned} {coins|bones|pottery|beads} {beneath|next to} "
    "the {crypt|granary|bath house} in {several|three} {campaigns|summers}.",
    "The {plague|famine|siege} {lasted|dragged on} {longer|for months longer} than {the records|official letters} "
    "{admit|suggest}, and {trade|population|faith} {suffered|recovered slowly}.",
    "{Printing|The compass|Gunpowder} {changed|transformed|unsettled} {everything|courts and churches|daily life} "
    "within {a generation|two generations|a few decades}.",
    "{Letters|Diaries|Account books} from the {archive|bishop's library|regiment} {describe|mention|complain of} {cold "
    "rooms|poor wine|unpaid soldiers} in {vivid|dry|surprising} detail."};
constexpr std::string_view kMusic[] = {
    "The {quartet|orchestra|ensemble} {rehearsed|repeated|slowed down} the {finale|slow movement|opening bars} until "
    "the {cellos|horns|singers} {agreed|were satisfied|blended}.",
    "{Listeners|Critics|Subscribers} {praised|doubted|barely noticed} the {tempo|acoustics|new arrangement}, "
    "{though|although} the {applause|encore} was {warm|endless|polite}.",
    "{Scales|Arpeggios|Finger exercises} are {dull|useful|unavoidable}, and {ten minutes|a quarter hour} of them {each "
    "day|without a pause} {does wonders|is plenty|builds strength}.",
    "A {melody|rhythm|chord} that {sounds simple|seems odd} on {paper|first hearing} may {haunt|delight|puzzle} an "
    "audience for {days|years}.",
    "The {conductor|soloist|composer} {arrived|apologised|bowed} {late|twice|without a word} and "
    "{raised|lowered|dropped} the {baton|score}.",
    "{Folk|Wedding|Work} songs {travelled|spread|survived} with {sailors|migrants|soldiers} and {changed|lost a "
    "verse|gained a refrain} in every {port|region|decade}.",
    "{Strings|Reeds|Valves} {react|go out of tune|stiffen} when {humidity|temperature|pressure} {falls|rises|jumps} "
    "{suddenly|during a concert}.",
    "{Backstage|In the foyer|Outside the hall} {programmes|flowers|spare instruments} {piled up|were stacked|waited}, "
    "{guarded|ignored} by {an usher|a sleepy attendant|two students}."};
constexpr std::string_view kMountains[] = {
    "{Above|Near} the {tree line|glacier|saddle} the {rock|snow|scree} is {brittle|treacherous|steep}, so "
    "{ropes|crampons|ice axes} are {advised|compulsory|sensible}.",
    "The {hut|refuge|bivouac} {sleeps|feeds|shelters} {a dozen|thirty|about forty} {climbers|hikers|skiers} from "
    "{June|May} {to|until} {September|the first snow}.",
    "{Avalanches|Rockfalls|Whiteouts} {threaten|close|cut off} the {northern|eastern|upper} {slopes|gullies|villages} "
    "{several times|at least once} each {season|winter}.",
    "{Ibex|Marmots|Chamois} {graze|whistle|doze} {on the ledges|among the boulders|in the meadows} when {no one|nobody "
    "with a dog} is {about|near}.",
    "A {rescuer|ranger|geology student} {measured|photographed|recorded} how far the {ice|moraine|lake} had "
    "{retreated|shifted|spread} since {the nineties|the last survey}.",
    "{Altitude|Thin air|Dehydration} {causes|brings on} {headaches|poor sleep|bad decisions}, and "
    "{descending|resting|drinking} is the {only|best|simplest} {cure|remedy}.",
    "The {cable car|chairlift|rack railway} {carries|hauls} {supplies|visitors|timber} {over|past} the "
    "{gorge|waterfall|cliff} in {under|just over} {nine|fifteen} minutes.",
    "{Dawn|Moonlight|The afterglow} {tinted|outlined|softened} the {summit ridge|far peaks|snowfields} while "
    "{everyone|half the party} {slept|boiled tea|tied their boots}."};
constexpr std::string_view kLibrary[] = {
    "{Readers|Researchers|Regulars} {request|order|reserve} {volumes|manuscripts|maps} {by telephone|on a "
    "slip|online}, and {a trolley|a clerk|the lift} {brings|delivers} them {by three|within the hour}.",
    "The {reading room|catalogue|east wing} {reopened|was digitised|was rewired} {last autumn|two years ago}, "
    "{after|following} {repairs|complaints|a generous gift}.",
    "{Novels|Travelogues|Detective stories} {disappear|wear out|come back late} more {often|quickly} than "
    "{dictionaries|sermons|textbooks}, {statistics|the staff} {show|report}.",
    "A {binding|spine|title page} of {calfskin|parchment|cheap cardboard} {reveals|hides|suggests} {much|more than "
    "expected} about its first {owner|printer}.",
    "{Dust|Light|Mould} is the {enemy|worry} of {every|any} {collection|curator|archive}; {blinds|filters|gloves} "
    "{help|cost little|are essential}.",
    "The {evening|weekend|holiday} {lectures|readings|workshops} {attract|draw} {retired people|teenagers|newcomers} "
    "who {ask|raise} {clever|awkward|endless} questions.",
    "{Marginal notes|Pressed leaves|Bus tickets} {turn up|are found|lie forgotten} between pages {nobody|no one} has "
    "{opened|read} {in decades|since the war}.",
    "{Silence|Whispering|Typing} is {expected|tolerated|frowned upon} {upstairs|in the main hall|near the "
    "periodicals}, but {cafe|basement|lobby} talk {is lively|never stops}."};
constexpr std::string_view kSport[] = {
    "The {home|visiting|younger} {side|team|squad} {led|trailed|equalised} {at half-time|early on|in the closing "
    "minutes}, {despite|thanks to} {an injury|a penalty|the rain}.",
    "{Swimmers|Rowers|Sprinters} {train|stretch|compete} {six days a week|before breakfast|all year round} and "
    "{eat|sleep} {enormously|more than most}.",
    "A {referee|coach|spectator} {protested|signalled|waved} from the {touchline|grandstand|far bank}, {yet|but} the "
    "{result|score} {stood|was never in doubt}.",
    "{Rackets|Skis|Oars} used to be {heavy|made of ash|repaired at home}; {modern|today's} {materials|models} "
    "{weigh|cost} {half as much|far more|next to nothing}.",
    "The {marathon|regatta|relay} {starts|ends} {outside|opposite} the {stadium|boathouse|fire station} and "
    "{crosses|circles} the {park|canal|old quarter} {once|twice}.",
    "{Beginners|Amateurs|Children} {learn|should learn} to {fall|breathe|pass} before they {try|attempt} "
    "{speed|tricks|a real match}.",
    "{Fans|Reporters|Former players} {remember|still discuss|cannot forget} the {final|draw|missed goal} of {that "
    "season|the wet spring|the jubilee year}.",
    "{Ice|Massage|A long walk} {eases|relieves|prevents} {cramp|stiffness|sore knees} {better|faster} than "
    "{tablets|any ointment|sitting still}."};
constexpr std::string_view kTextiles[] = {
    "{Looms|Spindles|Knitting frames} {clattered|ran|turned} {day and night|behind every window} when "
    "{cotton|silk|flax} {was in demand|made the valley rich}.",
    "{Dyes|Pigments|Tints} from {madder|walnut shells|onion skins} {fade|darken|mellow} {gracefully|within months} in "
    "{sunlight|washing soda}.",
    "A {seam|hem|buttonhole} {sewn|finished|stitched} by {an expert|machine|candlelight} {shows|betrays} itself on the "
    "{inside|reverse}.",
    "{Quilters|Embroiderers|Lace makers} {meet|gather} {in the chapel|above the pharmacy|on alternate Fridays} to "
    "{compare|swap|unpick} {patterns|threads|mistakes}.",
    "The {pattern|fabric|lining} {should be|must be} {pinned|pressed|cut} {on the bias|on a flat surface|with long "
    "scissors} so that it {hangs|drapes|stretches} {properly|evenly}.",
    "{Moths|Sunlight|Damp} {destroyed|bleached|stained} {a tapestry|several costumes|the oldest banner} while it was "
    "{in storage|on loan}.",
    "{Felt|Canvas|Tweed} {keeps out|holds off|defies} {sleet|draughts|thorns}, which {herders|cyclists|anglers} "
    "{appreciate|have always known}.",
    "{Exports|Orders|Wages} {doubled|collapsed|wavered} when {steam power|foreign yarn|a new fashion} {arrived|took "
    "hold}, and {workshops|whole streets} {closed|adapted}."};
constexpr std::string_view kSky[] = {
    "{Saturn|Jupiter|Venus} {rises|is visible|can be spotted} {shortly after sunset|low in the south|before the stars "
    "fade} {this|next} {month|week}, {weather permitting|given a clear horizon}.",
    "The {observatory|planetarium|astronomy club} {invites|admits} {guests|school groups|families} on "
    "{cloudless|moonless} {evenings|nights} for a {small fee|donation}.",
    "{Meteors|Satellites|Faint galaxies} {streak|slip|glimmer} {across|through} the {field of view|constellation}, "
    "{easily|often} {missed|mistaken for aircraft}.",
    "{City|Street|Stadium} lights {drown|wash out|dim} {nearly everything|the Milky Way|all but the brightest stars}, "
    "so {enthusiasts|photographers} {drive|travel} {inland|to the desert}.",
    "A {lens|tripod|finder} must be {steady|clean|aligned} or {images|exposures} {blur|drift|show trails} after {a few "
    "seconds|half a minute}.",
    "{Eclipses|Occultations|Transits} are {predicted|computed} {centuries|decades} ahead, and {errors|surprises} "
    "{rarely exceed|amount to} {a second|a heartbeat}.",
    "{Ancient|Medieval|Arab} {astronomers|navigators|priests} {named|charted|worshipped} these {stars|wanderers} and "
    "{left|carved} {tables|instruments|alignments} behind.",
    "{Gravity|Radiation|Magnetism} {shapes|bends|disturbs} {comet tails|dust clouds|orbits} in ways that "
    "{computers|theories} {reproduce|explain} {only roughly|surprisingly well}."};

constexpr Topic kTopics[] = {kHarbour, kHistory, kMusic, kMountains, kLibrary, kSport, kTextiles, kSky};

}  // namespace

std::span<const Topic> evaluation_topics() { return kTopics; }

}  // namespace tca::evaluation
