// The parts of the page of `tca report`, each without its heading.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/html/chart.h"
#include "cli/html/markup.h"
#include "cli/html/report_page.h"

namespace tca::cli::html {

/// The model, or the models.
std::string report_title(const Report& report);
/// What was compared, in a sentence, and the figures that hold for all of it.
Markup summary(const Report& report);

/// How many of full attention's answers survive: all runs side by side, a chart and a table for each.
Markup quality_section(const Report& report);
/// Bytes of the KV cache and seconds to read a document: by length where there are several, else as bars.
Markup cost_section(const Report& report);
Markup profile_section(const ProfileMaps& profile);
Markup answers_section(const Report& report);
/// What was asked in each run, its file, and the commands.
Markup runs_section(const Report& report);

/// Every method's colour and shape, the same in all charts: a family has a colour, and each of its methods a shape.
class Looks {
 public:
  explicit Looks(const std::vector<Result>& results);
  Look of(const std::string& method) const { return looks_.at(method); }
  Look of_family(const std::string& family) const { return {.color = colors_.at(family)}; }

 private:
  std::map<std::string, Look> looks_;
  std::map<std::string, int> colors_;
};

}  // namespace tca::cli::html
