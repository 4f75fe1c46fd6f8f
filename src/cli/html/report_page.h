// The page of `tca report`: one HTML file that needs nothing else, and has nothing in it that runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/heat_map.h"
#include "cli/html/answers.h"
#include "cli/html/results.h"
#include "tca/profile.h"

namespace tca::cli::html {

struct ProfileMaps {
  std::string file = {};
  Profile profile = {};
  std::int64_t tokens = 0;  // the length whose shares are drawn; 0: the maps hold for every length
  std::vector<HeatMap> maps = {};
};

struct ComparedAnswers {
  AnswerFile answers = {};
  std::size_t result = 0;                   // its place among the results
  std::vector<std::size_t> differing = {};  // places of questions
};

struct Report {
  std::vector<Result> results = {};  // ascending by length, not empty
  std::optional<ProfileMaps> profile = {};
  std::vector<ComparedAnswers> answers = {};  // ascending by result
  std::int64_t most_differences = 0;          // shown of each run
};

/// The same bytes for the same report: no time, no machine.
std::string report_page(const Report& report);

}  // namespace tca::cli::html
