// tca report: results of tca eval as one page that can be passed on.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/html/report_page.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/profile_report.h"
#include "cli/signals.h"
#include "cli/target_file.h"
#include "core/file.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

constexpr std::size_t kMostResultBytes = std::size_t{64} << 20;
constexpr std::size_t kMostAnswerBytes = std::size_t{256} << 20;
constexpr std::int64_t kUsualDifferences = 30;

struct ReportArgs {
  std::vector<std::string> results;
  std::string output;
  std::string profile;
  std::vector<std::string> answers;
  std::vector<double> keep;
  std::int64_t differences = kUsualDifferences;
  bool force = false;
  bool json = false;
};

void add_options(CLI::App& app, ReportArgs& args) {
  app.add_option("FILE", args.results, "Results of tca eval --json, of one length each or of several")->required();
  app.add_option("-o,--output", args.output, "The page")->type_name("FILE")->required();
  app.add_option("--answers", args.answers, "What tca eval --answers wrote in the same runs")->type_name("FILE...");
  app.add_option("--differences", args.differences, "Questions to show of each run where answers differ")
      ->check(in_int_range(0, 100000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--profile", args.profile, "The profile that was used, whose shares are drawn")->type_name("FILE");
  app.add_option("--keep", args.keep, "Shares to draw of the profile (default: those of the methods tca:R)")
      ->check(in_range(0, 1, /*low_excluded=*/true))
      ->delimiter(',')
      ->type_name("RATIO,...");
  app.add_flag("--force", args.force, "Replace a page that is there");
  app.add_flag("--json", args.json, "One JSON object on standard output (docs/cli.md)");
}

std::vector<html::Result> read_results(const ReportArgs& args) {
  std::vector<html::Result> results;
  for (const std::string& path : args.results) {
    results.push_back(html::parse_result(read_file(path, kMostResultBytes), path));
  }
  std::stable_sort(results.begin(), results.end(),
                   [](const html::Result& a, const html::Result& b) { return a.length() < b.length(); });
  return results;
}

std::vector<html::ComparedAnswers> read_answers(const ReportArgs& args, const std::vector<html::Result>& results) {
  std::vector<html::ComparedAnswers> compared;
  std::vector<bool> taken(results.size(), false);
  for (const std::string& path : args.answers) {
    html::AnswerFile answers = html::parse_answers(read_file(path, kMostAnswerBytes), path);
    const std::size_t result = html::result_of(answers, results, taken);
    taken[result] = true;
    std::vector<std::size_t> differing = html::differing(answers);
    compared.push_back({std::move(answers), result, std::move(differing)});
  }
  std::sort(compared.begin(), compared.end(), [](auto& a, auto& b) { return a.result < b.result; });
  return compared;
}

// Those of --keep, else of the methods that used a profile; none: what inspect draws.
std::vector<double> shares_to_draw(const ReportArgs& args, const std::vector<html::Result>& results) {
  if (!args.keep.empty()) return args.keep;
  constexpr std::string_view kTca = "tca:";
  std::vector<double> shares;
  for (const html::Result& result : results) {
    for (const html::MethodFigures& method : result.methods) {
      if (!method.method.starts_with(kTca)) continue;
      double share = 0;
      const char* const begin = method.method.data() + kTca.size();
      const auto [end, error] = std::from_chars(begin, method.method.data() + method.method.size(), share);
      if (error == std::errc() && share > 0 && share <= 1) shares.push_back(share);
    }
  }
  std::sort(shares.begin(), shares.end());
  shares.erase(std::unique(shares.begin(), shares.end()), shares.end());
  return shares;
}

std::optional<html::ProfileMaps> read_profile(const ReportArgs& args, const std::vector<html::Result>& results) {
  if (args.profile.empty()) {
    if (!args.keep.empty()) throw UsageError("--keep needs the profile whose shares are drawn: --profile FILE");
    return std::nullopt;
  }
  html::ProfileMaps shown{.file = args.profile, .profile = Profile::load(args.profile)};
  for (const html::Result& result : results) {
    const ModelFingerprint& model = shown.profile.model;
    if (result.model.weights_sha256 == model.weights_sha256) continue;
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("--profile {} is for {} with weights {:.12}, and {} is of {} with weights {:.12}: give the "
                            "profile that the runs used",
                            args.profile, model.architecture, model.weights_sha256, result.file,
                            result.model.architecture, result.model.weights_sha256));
  }
  const std::int64_t tokens = results.back().longest;
  shown.maps = profile_maps(shown.profile, shares_to_draw(args, results), shown.profile.usual_objective(), tokens);
  if (shown.profile.usual_objective() == kAnswerRisk) shown.tokens = tokens;
  return shown;
}

void write_summary(const ReportArgs& args, const html::Report& report, std::size_t bytes) {
  Json results = Json::array(), answers = Json::array();
  for (const html::Result& result : report.results) {
    results.push_back(
        {{"path", result.file}, {"shortest_document", result.shortest}, {"longest_document", result.longest}});
  }
  for (const html::ComparedAnswers& compared : report.answers) {
    answers.push_back({{"path", compared.answers.file},
                       {"result", report.results[compared.result].file},
                       {"questions", compared.answers.questions.size()},
                       {"differing", compared.differing.size()},
                       {"shown", std::min<std::int64_t>(std::ssize(compared.differing), report.most_differences)}});
  }
  write_json({{"command", "report"},
              {"version", TCA_VERSION},
              {"output", args.output},
              {"bytes", bytes},
              {"results", std::move(results)},
              {"answers", std::move(answers)},
              {"profile", report.profile ? Json(report.profile->file) : Json()},
              {"maps", report.profile ? report.profile->maps.size() : 0}});
}

int run(const ReportArgs& args) {
  check_not_there(args.output, "--output", args.force);
  check_writable(args.output, "--output");
  html::Report report;
  report.results = read_results(args);
  report.profile = read_profile(args, report.results);
  report.answers = read_answers(args, report.results);
  report.most_differences = args.differences;
  const std::string page = html::report_page(report);
  {
    const WritingGuard guard;
    write_file_atomically(args.output, page);
  }
  if (args.json) {
    write_summary(args, report, page.size());
  } else {
    write_output(fmt::format("{}: {}, {}\n", args.output, counted(std::ssize(report.results), "result"),
                             format_bytes(page.size())));
  }
  return 0;
}

}  // namespace

void add_report_command(CLI::App& app, Job& job) {
  add_command<ReportArgs>(app, job, "report", "Write results of eval as one HTML page", add_options, run)
      .footer(
          "The page needs no network and runs nothing.\n"
          "Example:\n  tca eval --ctx 4096 --answers a4.jsonl --json > e4.json\n"
          "  tca eval --ctx 8192 --answers a8.jsonl --json > e8.json\n"
          "  tca report e4.json e8.json --answers a4.jsonl a8.jsonl -o report.html");
}

}  // namespace tca::cli
