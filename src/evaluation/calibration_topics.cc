// The text of calibration. No sentence of evaluation_topics.cc may come here.
#include "evaluation/fact_tables.h"

namespace tca::evaluation {
namespace {

constexpr std::string_view kTravel[] = {
    "The {morning|night|express|mail} coach {stops|waits|rests} for {ten minutes|half an hour|a short while} at the "
    "{inn by the crossroads|foot of the hill|edge of the moor}.",
    "{Most|Many|A few|Some} travellers {prefer|choose|would rather take} the {upper|longer|winding} path, since it "
    "{stays dry|offers the better view|avoids the toll}.",
    "Anyone who {packs lightly|sets off early|carries little} will {reach the pass|arrive at the hostel|finish the "
    "walk} before the {heat|crowds|afternoon} {comes|sets in}.",
    "A good map {shows|marks|lists} every {spring|shelter|footbridge|fork} along the way, although the "
    "{scale|paper|printing} {varies|differs from sheet to sheet|is rarely perfect}.",
    "On the {second|third|fourth|last} day the {road|track|trail} {climbs|bends|narrows} towards a {ridge|plateau|row "
    "of pines|ruined tower}.",
    "The {guidebook|innkeeper|driver|guide} {warned|told|reminded} us that {bread|fuel|water|lodging} would be "
    "{scarce|expensive|hard to find} further on.",
    "We {crossed|followed|left} the {valley|stream|old frontier} at {noon|dawn|dusk} and {rested|ate|waited} under {a "
    "bridge|some poplars|an open shed}.",
    "Tickets {are sold|may be bought|can be had} at the {counter|kiosk|gate} until {shortly before|a quarter of an "
    "hour before|just before} {departure|the bell rings|the doors close}."};
constexpr std::string_view kCooking[] = {
    "{Chop|Slice|Grate} the {onions|carrots|leeks|turnips} {finely|coarsely|into thin strips} and {soften|warm|turn} "
    "them in {butter|a little oil|dripping}.",
    "The dough should {rest|rise|be left} for {an hour|a whole night|as long as it needs} in a {cool|warm|draughtless} "
    "{corner|cupboard|bowl}.",
    "A pinch of {salt|nutmeg|pepper|caraway} {brings out|rounds off|deepens} the flavour of the "
    "{broth|stew|pudding|filling}.",
    "{My aunt|Our neighbour|The old cook|Grandmother} always {stirred|tasted|skimmed} the {soup|sauce|jam} with {a "
    "long spoon|great patience|one eye on the clock}.",
    "When the {crust|surface|top} turns {crisp|brown at the edges|firm}, {take|lift|slide} the {pie|loaf|dish} out of "
    "the oven.",
    "{Leftover|Stale|Day-old} bread {makes|becomes|can be turned into} {excellent|decent|simple} "
    "{dumplings|crumbs|toast|stuffing} in {no time|a few minutes|less than an hour}.",
    "Some cooks {swear by|insist on|cannot do without} {fresh|dried|pickled} {herbs|mushrooms|beans|plums} for this "
    "{recipe|dish|meal}.",
    "The {cheese|ham|honey} at the {weekly|corner|covered} {market|stall} is {milder|stronger|cheaper} in the "
    "{cold|warm|wet} months."};
constexpr std::string_view kGarden[] = {
    "{Tulips|Lettuces|Beans|Sweet peas} {do well|thrive|grow best} in {sandy|loose|well-drained} soil with {some "
    "shade|plenty of light|a bit of lime}.",
    "{Early|Late|Once} in the {spring|autumn} the {beds|borders|paths} are {raked|weeded|covered} and the "
    "{tools|pots|canes} {cleaned|counted|put away}.",
    "A {hedge|low wall|row of currants} {keeps|holds|shields} the {wind|frost|neighbour's hens} from the "
    "{seedlings|strawberries|young plants}.",
    "{Slugs|Snails|Mice|Pigeons} {ate|spoiled|nibbled} {half|most|a good part} of the {cabbages|peas|radishes} {last "
    "week|overnight|during the holiday}.",
    "It {pays|helps|is wise} to {water|prune|mulch} the {roses|raspberries|vines} {in the evening|after a dry "
    "spell|before the buds open}.",
    "The {compost|leaf mould|old straw} {heap|pile} {steams|settles|smells of earth} when the {nights|mornings} {turn "
    "chilly|are still}.",
    "{Two|Three|Several} {plum|cherry|pear} trees {lean|stand|blossom} {against|beside|behind} the "
    "{shed|greenhouse|brick wall}.",
    "{Children|Visitors|Guests} are {welcome|asked|allowed} to {pick|taste|take home} {a few|some|any ripe} "
    "{berries|nuts|flowers} on {open days|Sundays|request}."};
constexpr std::string_view kWeather[] = {
    "{Clouds|Showers|Mists} {gathered|drifted|hung} over the {plain|marshes|rooftops} until {late in the day|the wind "
    "turned|the sun broke through}.",
    "The {barometer|forecast|almanac} {promised|suggested|hinted at} a {dry|stormy|mild|bitter} {week|fortnight|end of "
    "the month}.",
    "After the {thaw|downpour|gale}, {puddles|branches|loose tiles} {lay|were scattered|covered the ground} {along the "
    "lane|in every yard|as far as one could see}.",
    "A {light|steady|sharp} breeze {from the north|off the fields|out of the hills} {rattled|shook|stirred} the "
    "{shutters|washing|dry leaves}.",
    "Old people {say|claim|maintain} that {swallows|ants|cats|cows} {know|feel|announce} the {rain|cold} {a day "
    "ahead|long before we do}.",
    "The {river|brook|pond} {froze|swelled|sank} {sooner|more slowly|less} than in {other|recent|ordinary} years.",
    "{Thunder|Distant rumbling|A single flash} {woke|startled|alarmed} the {dogs|whole street|sleepers} {around "
    "midnight|towards morning|just as the lamps were out}.",
    "By {breakfast|lunchtime|supper} the {haze|drizzle|sleet} had {lifted|stopped|moved on} and the {air|sky|light} "
    "was {clear|soft|surprisingly bright}."};
constexpr std::string_view kSchool[] = {
    "The pupils {copied|recited|discussed} the {poem|passage|rule} {twice|aloud|in pairs} before the {bell|break|end "
    "of the lesson}.",
    "{Chalk|Ink|Paper} was {handed out|kept|counted} by {the eldest|a monitor|whoever sat in front}, which "
    "{nobody|hardly anyone} {minded|questioned}.",
    "{Sums|Spelling|Geography} {came first|was taught|took up most of the time} on {Mondays|wet days|Thursdays}, "
    "{singing|drawing|handicraft} {later|in the afternoon}.",
    "The {new|younger|visiting} {teacher|master|assistant} {explained|showed|proved} how {clouds form|levers "
    "work|magnets attract} with {a glass of water|some string|two coins}.",
    "During the {break|excursion|rehearsal} they {shared|traded|hid} {apples|marbles|picture cards} {behind the "
    "wall|under the stairs|on the steps}.",
    "{Homework|Reading|Practice} was {short|tedious|easier than usual} in the {first|last} {weeks|days} of {term|the "
    "year}.",
    "A {cupboard|shelf|cabinet} {at the back|near the stove|by the door} {held|displayed|contained} {shells|stuffed "
    "birds|old atlases|broken slates}.",
    "At the {end of the year|summer feast|prize day} the {parents|families|older pupils} {listened "
    "to|applauded|watched} a {play|choir|speech} in the {yard|hall|gymnasium}."};
constexpr std::string_view kMarket[] = {
    "{Stalls|Carts|Tables} were {set up|arranged|crowded together} {before sunrise|along the square|in two long rows}, "
    "and the {haggling|shouting|gossip} {began|grew louder} at once.",
    "A {merchant|pedlar|widow} from {the coast|another county|the hills} {offered|praised|laid out} "
    "{ribbons|pots|spices|oilcloth} at {half price|a fair price|whatever people would pay}.",
    "The {scales|weights|measures} are {checked|stamped|tested} {every spring|once a season|by the council}, so that "
    "{nobody|no customer} is {cheated|left short}.",
    "{Eggs|Potatoes|Candles} {cost|fetched|sold for} {more|a little less|nearly twice as much} {this time|than a month "
    "ago|as the week before}.",
    "{Towards|Shortly after|Around} midday the {buyers|farmhands|townspeople} {drifted|hurried|wandered} to the "
    "{tavern|shade of the arcade|fountain}.",
    "A {boy|musician|juggler} with {a drum|a tame crow|three hoops} {earned|collected|begged} a few {coins|pennies} "
    "{near the pump|between the carts}.",
    "What {was not sold|remained} was {packed up|given away|carried home} {in the evening|when the lamps were lit}, "
    "{often|usually|always} with {a sigh|a joke|a shrug}.",
    "{Cloth|Timber|Wool} {arrives|is brought} by {barge|waggon|rail} and is {stored|sorted|unloaded} {behind the "
    "hall|in the cellars|on the quay}."};
constexpr std::string_view kWoodwork[] = {
    "{Plane|Sand|Scrape} the {board|plank|edge} {along|with|never against} the grain until it feels {smooth|even|like "
    "silk} {under the palm|to the touch}.",
    "A {joint|dovetail|tenon} that is {cut|marked|fitted} {in haste|without care|by guesswork} will {open|creak|give "
    "way} within {a year|a few winters|one season}.",
    "{Glue|Varnish|Wax} {dries|hardens|sets} {slowly|unevenly|badly} when the {workshop|room|air} is {damp|cold|not "
    "heated}.",
    "The {apprentice|beginner|newcomer} {swept|sorted|gathered} {shavings|nails|offcuts} for {weeks|a month|the whole "
    "first summer} before {touching a saw|using the lathe|he was trusted with a chisel}.",
    "{Pine|Beech|Ash|Elm} {splits|bends|works} more {readily|cleanly|willingly} than {people think|most woods|one "
    "would expect}.",
    "{Sharp|Clean|Well-kept} {blades|tools|chisels} are {safer|quicker|kinder to the wood} than {dull|cheap|rusted} "
    "ones, as every {handbook|craftsman|veteran} {repeats|says|knows}.",
    "The {legs|drawers|panels} of the {bench|dresser|cradle} were {turned|carved|numbered} {by hand|one at a time|from "
    "a single log}.",
    "Measure {twice|carefully|from the same end}, {mark|score|draw} with a {knife|hard pencil|needle}, and "
    "{leave|allow} a {hair's breadth|finger's width|small margin} for {error|the finish|swelling}."};
constexpr std::string_view kHousehold[] = {
    "The {stove|chimney|kitchen range} {smoked|drew poorly|needed cleaning} whenever the {wind|weather} "
    "{turned|changed}, so the {windows|doors} {stayed|were kept} {open|ajar}.",
    "{Linen|Bedding|Curtains} should be {aired|folded|mended} {twice a year|before the winter|in good light} and "
    "{kept|laid} with {lavender|cedar chips|soap}.",
    "{Someone|One of the cousins|The lodger} had {left|forgotten|hung} a {coat|wet cloak|pair of boots} {in the "
    "hallway|on the banister|by the fire}.",
    "The {cellar|attic|pantry} {smelled|still smelled|always smelled} of {apples|vinegar|old paper}, {even|especially} "
    "{in winter|after a wet month|at night}.",
    "{Mending|Washing|Baking} was {done|shared|planned} on {fixed days|Tuesdays|the same morning}, and {nobody|not "
    "even guests} {complained|changed that}.",
    "A {cat|kitten|terrier} {slept|lay|stretched} on the {sill|rug|lowest stair} and {ignored|watched|put up with} "
    "{the noise|everyone who came in|the rest of us}.",
    "{In the evenings|After supper|On long nights} they {played cards|read aloud|sorted buttons} while the "
    "{kettle|clock|fire} {hummed|ticked|crackled} {softly|as ever}.",
    "The {stairs|floorboards|hinges} {creaked|complained|groaned} {at the slightest step|under every visitor}, which "
    "{amused|troubled|no longer bothered} the {family|owners|children}."};

constexpr Topic kTopics[] = {kTravel, kCooking, kGarden, kWeather, kSchool, kMarket, kWoodwork, kHousehold};

}  // namespace

std::span<const Topic> calibration_topics() { return kTopics; }

}  // namespace tca::evaluation
