#include "calibration/calibrate.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "calibration/choose.h"
#include "calibration/dropped_mass.h"
#include "core/check.h"
#include "evaluation/random.h"

namespace tca::calibration {
namespace {

constexpr std::string_view kTailRisk = "tail-risk";
constexpr std::string_view kPaper = "paper";

// Statistics of every layer, KV head and candidate under one rule, summed over sequences.
struct RuleTable {
  SelectionRule rule;
  CandidateTable tail, p95, mean;  // [layers * KV heads][candidates]
};

// `count` different numbers of [begin, end), ascending; all of them when there are no more.
std::vector<std::int32_t> sample(evaluation::Random& random, std::int64_t begin, std::int64_t end, std::int64_t count) {
  std::vector<std::int32_t> rows;
  for (std::int64_t i = begin; i < end; ++i) {
    if (random.below(end - i) < count - std::ssize(rows)) rows.push_back(static_cast<std::int32_t>(i));
  }
  return rows;
}

// Half of the rows look things up, if the sequence has such rows; the others are from the document's last 7/8: earlier
// ones have little that could be dropped. A tail over both kinds is what finds the retrieval heads: over lookup rows
// alone it is flat until such a head keeps everything, over ordinary rows it hardly sees lookups.
std::vector<std::int32_t> sample_rows(std::int64_t tokens, std::int64_t document, std::int64_t count,
                                      std::uint64_t seed) {
  evaluation::Random random(seed);
  auto lookups = sample(random, document, tokens, count / 2);
  auto rows = sample(random, document / 8, document, count - std::ssize(lookups));
  rows.insert(rows.end(), lookups.begin(), lookups.end());
  return rows;
}

void check_options(const CalibrationOptions& options) {
  check_argument(options.rows >= 2, "rows is ", options.rows, "; expected 2 or more");
  check_argument(options.tail > 0 && options.tail <= 1, "tail is ", options.tail, "; expected a share in (0, 1]");
  check_argument(!options.budgets.empty(), "budgets is empty; expected at least one mean kept share");
  for (const double budget : options.budgets) {
    check_argument(budget > 0 && budget <= 1, "a budget is ", budget, "; expected a share in (0, 1]");
  }
  check_argument(!options.objectives.empty(), "objectives is empty; expected tail-risk, paper or both");
  for (const std::string& objective : options.objectives) {
    check_argument(objective == kTailRisk || objective == kPaper, "an objective is '", objective,
                   "'; expected tail-risk or paper");
  }
  check_argument(options.rule.block_size == options.paper_rule.block_size, "block_size is ", options.rule.block_size,
                 " in one rule and ", options.paper_rule.block_size, " in the other; expected the same");
}

void check_sequence(std::int64_t tokens, std::int64_t document, const CalibrationOptions& options) {
  const std::int64_t window = std::max(options.rule.window, options.paper_rule.window);
  check_argument(document <= tokens, "a calibration sequence has ", document, " document tokens of ", tokens);
  check_argument(document >= 2 * window, "a calibration sequence has ", document,
                 " document tokens; expected at least twice the window of ", window,
                 ", or there is next to nothing to drop: give longer sequences");
}

void divide(CandidateTable& table, double by) {
  for (auto& head : table) {
    // Masses are sums of rounded shares: one may exceed 1 by an ulp.
    for (double& value : head) value = std::min(1.0, value / by);
  }
}

ProfileBudget make_budget(const RuleTable& table, std::span<const std::size_t> choice,
                          std::span<const BlockShares> candidates, std::size_t num_kv_heads) {
  ProfileBudget budget;
  for (std::size_t head = 0; head < choice.size(); ++head) {
    if (head % num_kv_heads == 0) budget.layers.emplace_back();
    const std::size_t candidate = choice[head];
    budget.layers.back().push_back({.keep = candidates[candidate],
                                    .risk = table.p95[head][candidate],
                                    .mean_dropped = table.mean[head][candidate]});
    budget.kept_share += candidates[candidate].kept_share() / static_cast<double>(choice.size());
  }
  return budget;
}

std::string today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char date[sizeof("YYYY-MM-DD")];
  std::strftime(date, sizeof(date), "%Y-%m-%d", &utc);
  return date;
}

// Shares of a document that heads hold: what is chosen, and sinks and window, which every head holds besides.
std::vector<double> held_shares(std::span<const BlockShares> candidates, const SelectionRule& rule,
                                double document_tokens) {
  const double always = std::min(1.0, (static_cast<double>(rule.window) + rule.sinks) / document_tokens);
  std::vector<double> shares;
  for (const BlockShares& candidate : candidates) {
    shares.push_back(always + (1 - always) * candidate.kept_share());
  }
  return shares;
}

void add_budgets(const CalibrationOptions& options, const std::string& objective, const RuleTable& table,
                 std::span<const BlockShares> candidates, std::span<const double> cost, Profile& profile) {
  std::vector<double> budgets = options.budgets;
  std::sort(budgets.begin(), budgets.end());
  budgets.erase(std::unique(budgets.begin(), budgets.end()), budgets.end());
  // Keeping nothing but the window is our addition, not a candidate of the paper's.
  const std::size_t first_of_paper = 1;
  for (const double budget : budgets) {
    const auto choice = objective == kPaper ? choose_by_recall(table.mean, cost, budget, first_of_paper)
                                            : choose_by_risk(table.tail, cost, budget);
    ProfileBudget found = make_budget(table, choice, candidates, static_cast<std::size_t>(profile.model.num_kv_heads));
    found.objective = objective;
    found.budget = budget;
    if (table.rule != profile.rule) found.rule = table.rule;
    profile.budgets.push_back(std::move(found));
  }
}

}  // namespace

Profile empty_profile(const ModelFingerprint& model, const SelectionRule& rule, std::uint64_t seed) {
  Profile profile;
  profile.model = model;
  profile.rule = rule;
  profile.seed = seed;
  profile.version = TCA_VERSION;
  profile.date = today();
  return profile;
}

struct MassCalibration::Impl {
  const Backend& backend;
  ThreadPool& pool;
  Memory& memory;
  CalibrationOptions options;
  Profile empty;
  std::vector<BlockShares> candidates;
  std::vector<RuleTable> tables = {};  // of options.objectives
  // Of the sequence that is being read, and of all of them.
  std::int64_t document_tokens = 0;
  std::vector<std::int32_t> rows = {};
  std::int64_t sequences = 0, all_tokens = 0, all_document_tokens = 0;

  void add(std::span<const float> masses, std::int32_t layer, std::int32_t num_kv_heads, RuleTable& table) const {
    const std::size_t count = masses.size() / candidates.size() / static_cast<std::size_t>(num_kv_heads);
    for (std::size_t i = 0; i * count < masses.size(); ++i) {
      const std::size_t head =
          static_cast<std::size_t>(layer) * static_cast<std::size_t>(num_kv_heads) + i / candidates.size();
      const std::size_t candidate = i % candidates.size();
      const MassStatistics statistics = mass_statistics(masses.subspan(i * count, count), options.tail);
      table.tail[head][candidate] += statistics.tail;
      table.p95[head][candidate] += statistics.p95;
      table.mean[head][candidate] += statistics.mean;
    }
  }
};

MassCalibration::MassCalibration(ModelFingerprint model, const Backend& backend, ThreadPool& pool, Memory& memory,
                                 CalibrationOptions options) {
  check_options(options);
  std::sort(options.objectives.begin(), options.objectives.end());
  options.objectives.erase(std::unique(options.objectives.begin(), options.objectives.end()), options.objectives.end());
  Profile empty = empty_profile(model, options.rule, options.seed);
  std::vector<BlockShares> candidates = candidate_configurations(options.rule.block_size);
  impl_ =
      std::make_unique<Impl>(Impl{backend, pool, memory, std::move(options), std::move(empty), std::move(candidates)});
  const auto heads = static_cast<std::size_t>(model.num_layers) * static_cast<std::size_t>(model.num_kv_heads);
  const CandidateTable zeros(heads, std::vector<double>(impl_->candidates.size(), 0.0));
  for (const std::string& objective : impl_->options.objectives) {
    impl_->tables.push_back(
        {objective == kPaper ? impl_->options.paper_rule : impl_->options.rule, zeros, zeros, zeros});
  }
}

MassCalibration::~MassCalibration() = default;

void MassCalibration::begin(std::int64_t num_tokens, std::int64_t document_tokens) {
  check_sequence(num_tokens, document_tokens, impl_->options);
  impl_->rows = sample_rows(num_tokens, document_tokens, impl_->options.rows,
                            impl_->options.seed + static_cast<std::uint64_t>(impl_->sequences));
  impl_->document_tokens = document_tokens;
  ++impl_->sequences;
  impl_->all_tokens += num_tokens;
  impl_->all_document_tokens += document_tokens;
}

void MassCalibration::on_layer(std::int32_t layer, const TensorView& q, const TensorView& k, const TensorView&) {
  const ModelFingerprint& model = impl_->empty.model;
  check_argument(impl_->sequences > 0, "no sequence was begun");
  check_argument(layer >= 0 && layer < model.num_layers, "layer is ", layer, "; expected less than ", model.num_layers);
  check_argument(q.num_heads == model.num_heads && k.num_heads == model.num_kv_heads, "layer ", layer, " has ",
                 q.num_heads, " heads and ", k.num_heads, " KV heads; expected ", model.num_heads, " and ",
                 model.num_kv_heads);
  for (RuleTable& table : impl_->tables) {
    const std::vector<float> masses = dropped_masses(impl_->backend, impl_->pool,
                                                     {.q = q,
                                                      .k = k,
                                                      .document_tokens = impl_->document_tokens,
                                                      .rows = impl_->rows,
                                                      .rule = table.rule,
                                                      .candidates = impl_->candidates,
                                                      .memory = &impl_->memory});
    impl_->add(masses, layer, k.num_heads, table);
  }
}

Profile MassCalibration::profile() const {
  check_argument(impl_->sequences > 0, "there are no sequences to calibrate on");
  Profile profile = impl_->empty;
  profile.calibration_tokens = impl_->all_tokens;
  const auto count = static_cast<double>(impl_->sequences);
  const double document_tokens = static_cast<double>(impl_->all_document_tokens) / count;
  for (std::size_t i = 0; i < impl_->tables.size(); ++i) {
    RuleTable means = impl_->tables[i];
    for (CandidateTable* table : {&means.tail, &means.p95, &means.mean}) divide(*table, count);
    add_budgets(impl_->options, impl_->options.objectives[i], means, impl_->candidates,
                held_shares(impl_->candidates, means.rule, document_tokens), profile);
  }
  return profile;
}

Profile calibrate(std::shared_ptr<const runtime::Model> model, const Backend& backend, ThreadPool& pool,
                  std::span<const CalibrationSequence> sequences, const CalibrationOptions& options,
                  const runtime::Progress& progress) {
  check_options(options);
  check_argument(!sequences.empty(), "there are no sequences to calibrate on");
  for (const CalibrationSequence& sequence : sequences) {
    check_sequence(std::ssize(sequence.ids), sequence.document_tokens, options);
  }
  MassCalibration calibration(model->fingerprint(), backend, pool, model->device_memory(), options);
  constexpr std::int64_t kUnits = 1000;  // of progress, for each sequence
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto before = static_cast<std::int64_t>(i) * kUnits;
    const auto total = std::ssize(sequences) * kUnits;
    runtime::SessionOptions dense;
    dense.attention = runtime::AttentionMode::kFull;
    dense.max_context = std::ssize(sequences[i].ids);
    runtime::Session session(model, backend, pool, dense);
    calibration.begin(std::ssize(sequences[i].ids), sequences[i].document_tokens);
    runtime::ReadOptions read{.observer = &calibration};
    if (progress) {
      read.progress = [&](std::int64_t done, std::int64_t all) {
        return progress(before + kUnits * done / all, total);
      };
    }
    session.read(sequences[i].ids, read);
  }
  return calibration.profile();
}

}  // namespace tca::calibration
