#include <fmt/format.h>

#include "cli/format.h"
#include "cli/html/heat_map_chart.h"
#include "cli/html/sections.h"
#include "cli/html/table.h"

namespace tca::cli::html {
namespace {

Markup origin(const ProfileMaps& shown) {
  const Profile& profile = shown.profile;
  const ModelFingerprint& model = profile.model;
  return element(
      "p", fmt::format("{}, for {} with {} of {}: calibrated {} by tca {} on {}, seed {}.", shown.file,
                       model.architecture, counted(model.num_layers, "layer"), counted(model.num_kv_heads, "KV head"),
                       profile.date, profile.version, counted(profile.calibration_tokens, "token"), profile.seed));
}

Markup measured_table(const AnswerRisk& answers) {
  HtmlTable table({{"share to keep"}, {"answers kept", true}, {"of questions", true}});
  for (const MeasuredAnswers& measured : answers.measured) {
    table.add_row({escaped(format_percent(measured.keep)), escaped(format_percent(measured.answers_kept)),
                   escaped(format_count(measured.questions))});
  }
  return table.markup("What calibration measured on further documents, of the answers that full attention found");
}

}  // namespace

Markup profile_section(const ProfileMaps& shown) {
  Markup markup = origin(shown);
  const std::string what =
      shown.tokens > 0 ? fmt::format("The share of a prompt of {} that each head keeps, sinks and window counted.",
                                     counted(shown.tokens, "token"))
                       : std::string("The share of the tokens between sinks and window that each head keeps.");
  markup += element("p", {{"class", "note"}}, what);
  markup += element("div", {{"class", "maps"}}, heat_map_scale());
  Markup maps;
  for (const HeatMap& map : shown.maps) maps += heat_map_chart(map);
  markup += element("div", {{"class", "maps"}}, maps);
  if (shown.profile.answer_risk && !shown.profile.answer_risk->measured.empty()) {
    markup += measured_table(*shown.profile.answer_risk);
  }
  return markup;
}

}  // namespace tca::cli::html
