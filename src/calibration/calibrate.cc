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
std::vector<std::int32_t> sample_rows(const CalibrationSequence& sequence, std::int64_t count, std::uint64_t seed) {
  evaluation::Random random(seed);
  const std::int64_t document = sequence.document_tokens;
  auto lookups = sample(random, document, std::ssize(sequence.ids), count / 2);
  auto rows = sample(random, document / 8, document, count - std::ssize(lookups));
  rows.insert(rows.end(), lookups.begin(), lookups.end());
  return rows;
}

// Adds the statistics of the sequence that is being read.
class Measurement : public runtime::LayerObserver {
 public:
  Measurement(const Backend& backend, ThreadPool& pool, Memory& memory, const CalibrationOptions& options,
              std::span<const BlockShares> candidates, std::vector<RuleTable>& tables)
      : backend_(backend),
        pool_(pool),
        memory_(memory),
        tail_(options.tail),
        candidates_(candidates),
        tables_(tables) {}

  void begin(const CalibrationSequence& sequence, std::vector<std::int32_t> rows) {
    document_tokens_ = sequence.document_tokens;
    rows_ = std::move(rows);
  }

  void on_layer(std::int32_t layer, const TensorView& q, const TensorView& k, const TensorView&) override {
    for (RuleTable& table : tables_) {
      const std::vector<float> masses = dropped_masses(backend_, pool_,
                                                       {.q = q,
                                                        .k = k,
                                                        .document_tokens = document_tokens_,
                                                        .rows = rows_,
                                                        .rule = table.rule,
                                                        .candidates = candidates_,
                                                        .memory = &memory_});
      add(masses, layer, k.num_heads, table);
    }
  }

 private:
  void add(std::span<const float> masses, std::int32_t layer, std::int32_t num_kv_heads, RuleTable& table) {
    const std::size_t count = masses.size() / candidates_.size() / static_cast<std::size_t>(num_kv_heads);
    for (std::size_t i = 0; i * count < masses.size(); ++i) {
      const std::size_t head =
          static_cast<std::size_t>(layer) * static_cast<std::size_t>(num_kv_heads) + i / candidates_.size();
      const std::size_t candidate = i % candidates_.size();
      const MassStatistics statistics = mass_statistics(masses.subspan(i * count, count), tail_);
      table.tail[head][candidate] += statistics.tail;
      table.p95[head][candidate] += statistics.p95;
      table.mean[head][candidate] += statistics.mean;
    }
  }

  const Backend& backend_;
  ThreadPool& pool_;
  Memory& memory_;  // of the layers' tensors
  double tail_;
  std::span<const BlockShares> candidates_;
  std::vector<RuleTable>& tables_;
  std::int64_t document_tokens_ = 0;
  std::vector<std::int32_t> rows_;
};

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

void check_sequences(std::span<const CalibrationSequence> sequences, const CalibrationOptions& options) {
  check_argument(!sequences.empty(), "there are no sequences to calibrate on");
  const std::int64_t window = std::max(options.rule.window, options.paper_rule.window);
  for (const CalibrationSequence& sequence : sequences) {
    check_argument(sequence.document_tokens <= std::ssize(sequence.ids), "a calibration sequence has ",
                   sequence.document_tokens, " document tokens of ", sequence.ids.size());
    check_argument(sequence.document_tokens >= 2 * window, "a calibration sequence has ", sequence.document_tokens,
                   " document tokens; expected at least twice the window of ", window,
                   ", or there is next to nothing to drop: give longer sequences");
  }
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
                                std::span<const CalibrationSequence> sequences) {
  double document_tokens = 0;
  for (const CalibrationSequence& sequence : sequences) {
    document_tokens += static_cast<double>(sequence.document_tokens) / static_cast<double>(sequences.size());
  }
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

Profile empty_profile(const runtime::Model& model, const SelectionRule& rule, std::uint64_t seed) {
  Profile profile;
  profile.model = model.fingerprint();
  profile.rule = rule;
  profile.seed = seed;
  profile.version = TCA_VERSION;
  profile.date = today();
  return profile;
}

Profile calibrate(std::shared_ptr<const runtime::Model> model, const Backend& backend, ThreadPool& pool,
                  std::span<const CalibrationSequence> sequences, const CalibrationOptions& options,
                  const runtime::Progress& progress) {
  check_options(options);
  check_sequences(sequences, options);
  std::vector<std::string> objectives = options.objectives;
  std::sort(objectives.begin(), objectives.end());
  objectives.erase(std::unique(objectives.begin(), objectives.end()), objectives.end());

  Profile profile = empty_profile(*model, options.rule, options.seed);
  const std::vector<BlockShares> candidates = candidate_configurations(options.rule.block_size);
  const auto num_heads =
      static_cast<std::size_t>(profile.model.num_layers) * static_cast<std::size_t>(profile.model.num_kv_heads);
  const CandidateTable zeros(num_heads, std::vector<double>(candidates.size(), 0.0));
  std::vector<RuleTable> tables;
  for (const std::string& objective : objectives) {
    tables.push_back({objective == kPaper ? options.paper_rule : options.rule, zeros, zeros, zeros});
  }

  Measurement measurement(backend, pool, model->device_memory(), options, candidates, tables);
  constexpr std::int64_t kUnits = 1000;  // of progress, for each sequence
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto before = static_cast<std::int64_t>(i) * kUnits;
    const auto total = std::ssize(sequences) * kUnits;
    runtime::SessionOptions dense;
    dense.attention = runtime::AttentionMode::kFull;
    dense.max_context = std::ssize(sequences[i].ids);
    runtime::Session session(model, backend, pool, dense);
    measurement.begin(sequences[i], sample_rows(sequences[i], options.rows, options.seed + i));
    runtime::ReadOptions read{.observer = &measurement};
    if (progress) {
      read.progress = [&](std::int64_t done, std::int64_t all) {
        return progress(before + kUnits * done / all, total);
      };
    }
    session.read(sequences[i].ids, read);
    profile.calibration_tokens += std::ssize(sequences[i].ids);
  }

  for (std::size_t i = 0; i < tables.size(); ++i) {
    for (CandidateTable* table : {&tables[i].tail, &tables[i].p95, &tables[i].mean}) {
      divide(*table, static_cast<double>(sequences.size()));
    }
    add_budgets(options, objectives[i], tables[i], candidates, held_shares(candidates, tables[i].rule, sequences),
                profile);
  }
  return profile;
}

}  // namespace tca::calibration
