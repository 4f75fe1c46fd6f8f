// tca bench: end-to-end figures of a model on this machine, a fresh session for every row.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <random>

#include "cli/commands.h"
#include "cli/device.h"
#include "cli/format.h"
#include "cli/input.h"
#include "cli/lengths.h"
#include "cli/locate.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/random_shape.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/text_table.h"
#include "runtime/engine/session.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

constexpr std::array<std::int64_t, 3> kUsualContexts = {1024, 8192, 32768};

struct BenchArgs {
  ModelArgs model;
  AttentionArgs attention;
  std::vector<std::int64_t> contexts;  // empty: the usual ones
  std::vector<std::string> modes = {"full", "tca"};
  std::string text = kDefaultText;
  std::string random;  // a shape
  std::int64_t decode = 64;
  std::int32_t batch = 1;
  int repeat = 1;
  bool json = false;
};

void add_options(CLI::App& app, BenchArgs& args) {
  app.add_option("--ctx", args.contexts, "Prompt lengths in tokens")
      ->delimiter(',')
      ->check(in_int_range(1, std::numeric_limits<std::int32_t>::max()))
      ->type_name("N,...")
      ->default_str(fmt::format("{}", fmt::join(kUsualContexts, ",")));
  app.add_option("--attention", args.modes, "Modes to measure: full, tca, auto")
      ->delimiter(',')
      ->check(one_of({"auto", "full", "tca"}))
      ->type_name("MODE,...")
      ->capture_default_str();
  app.add_option("--decode", args.decode, "Tokens to generate after each prompt")
      ->check(in_int_range(0, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--batch", args.batch, "Sequences that decode together, forks of the one read")
      ->check(in_int_range(1, 1024))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--random", args.random, "On a GPU: a model of this shape with random weights, and random tokens")
      ->check(one_of(random_shape_names()))
      ->type_name("SHAPE");
  app.add_option("--repeat", args.repeat, "Runs of each row; the fastest is shown, --json has all")
      ->check(in_int_range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--text", args.text, "Where the tokens come from")->type_name("FILE")->capture_default_str();
  add_model_options(app, args.model);
  add_profile_options(app, args.attention);
  app.add_flag("--json", args.json, "One JSON object on standard output (docs/cli.md)")->group("Output");
}

struct Row {
  std::int64_t context = 0;
  std::string mode;
  std::vector<double> first_token_seconds, decode_rates;  // one a run
  Json run;                                               // figures of the fastest run
  double first_token = 0, decode_rate = 0, kept_share = 0;
  std::uint64_t kv_bytes = 0, peak_bytes = 0;
};

std::vector<std::int32_t> tokens_of(const BenchArgs& args, const LoadedModel& loaded, std::int64_t count) {
  if (!args.random.empty()) {
    std::mt19937 random(1);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
    const auto vocab = static_cast<std::uint32_t>(loaded.model->config().vocab_size);
    for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % vocab);
    return ids;
  }
  const std::string text = read_text_not_empty(locate_text(args.text), "text");
  std::vector<std::int32_t> ids = loaded.tokenizer.encode(text, /*add_special_tokens=*/true);
  const std::vector<std::int32_t> more = loaded.tokenizer.encode_plain(text);
  while (std::ssize(ids) < count) ids.insert(ids.end(), more.begin(), more.end());
  return ids;
}

// One mode's arguments: what goes with selection does not go with full attention.
runtime::SessionOptions options_of(const BenchArgs& args, const LoadedModel& loaded, const std::string& mode) {
  AttentionArgs attention = args.attention;
  attention.attention = mode;
  if (mode == "full") {
    attention.keep.reset();
    attention.profile.clear();
  }
  return session_options(attention, loaded);
}

bool on_gpu(const LoadedModel& loaded) { return loaded.backend->name() == "cuda"; }

// A GPU records its work at the second token of a kind, so the first two are not counted there.
std::int64_t uncounted_tokens(const LoadedModel& loaded) { return on_gpu(loaded) ? 2 : 0; }

// What a GPU does for the first time takes longer than reading: loading kernels, choosing products, growing its memory.
void warm_up(const BenchArgs& args, const LoadedModel& loaded, std::span<const std::int32_t> ids,
             const std::string& mode) {
  constexpr std::size_t kEnough = 32768;
  if (!on_gpu(loaded)) return;
  runtime::Session session(loaded.model, *loaded.backend, *loaded.pool, options_of(args, loaded, mode));
  session.read(ids.first(std::min(ids.size(), kEnough)));
}

std::int32_t best_token(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// Greedy tokens of all sequences, one each a step; tokens per second of all together.
double decode(const BenchArgs& args, const LoadedModel& loaded, runtime::Session& first, std::int32_t first_token) {
  std::vector<runtime::Session> forks;
  for (std::int32_t i = 1; i < args.batch; ++i) forks.push_back(first.fork());
  std::vector<runtime::Session*> sessions = {&first};
  for (runtime::Session& fork : forks) sessions.push_back(&fork);
  std::vector<std::int32_t> ids(sessions.size(), first_token);
  const auto vocab = static_cast<std::size_t>(loaded.model->config().vocab_size);
  const auto step = [&] {
    const auto logits = runtime::Session::read_batch(sessions, ids);
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = best_token(logits.subspan(i * vocab, vocab));
    if (stop_requested()) throw Error(ErrorCategory::kCancelled, "interrupted");
  };
  for (std::int64_t i = 0; i < uncounted_tokens(loaded); ++i) step();
  const Stopwatch watch;
  for (std::int64_t i = 0; i < args.decode; ++i) step();
  return static_cast<double>(args.decode * args.batch) / watch.seconds();
}

void measure(const BenchArgs& args, const LoadedModel& loaded, std::span<const std::int32_t> ids, Row& row) {
  reset_peak_memory();
  reset_peak_gpu(loaded.device);
  runtime::Session session(loaded.model, *loaded.backend, *loaded.pool, options_of(args, loaded, row.mode));
  const Stopwatch watch;
  // Progress makes a GPU wait once a layer: only who looks at it pays.
  const bool watched = !on_gpu(loaded) || isatty(STDERR_FILENO) == 1;
  const auto logits = watched
                          ? read_with_bar(session, ids, fmt::format("{}, {}", counted(row.context, "token"), row.mode))
                          : session.read(ids);
  const double first_token = watch.seconds();
  const runtime::ReadStats read = session.last_read();
  const double rate = args.decode == 0 ? 0 : decode(args, loaded, session, best_token(logits));

  const bool fastest = row.first_token_seconds.empty() || first_token < row.first_token;
  row.first_token_seconds.push_back(first_token);
  row.decode_rates.push_back(rate);
  row.decode_rate = std::max(row.decode_rate, rate);
  if (!fastest) return;
  row.first_token = first_token;
  row.kept_share = session.kept_share();
  row.kv_bytes = session.kv_bytes();
  row.run = {{"attention", attention_json(session, profile_path(args.attention, loaded))},
             {"read", read_json(read)},
             {"kv", kv_json(session)},
             {"memory", memory_json(loaded)}};
  if (on_gpu(loaded)) {
    Json& peak = row.run["memory"]["gpu_peak_bytes"];
    peak = peak.get<std::uint64_t>() + session.cache().pool()->used_bytes();
  }
  row.peak_bytes = row.run["memory"][on_gpu(loaded) ? "gpu_peak_bytes" : "peak_bytes"].get<std::uint64_t>();
}

Json to_json(const Row& row) {
  Json object = {{"ctx", row.context},
                 {"mode", row.mode},
                 {"first_token_seconds", row.first_token},
                 {"first_token_seconds_all", row.first_token_seconds},
                 {"prompt_tokens_per_second", static_cast<double>(row.context) / row.first_token},
                 {"decode_tokens_per_second", row.decode_rate},
                 {"decode_tokens_per_second_all", row.decode_rates}};
  object.update(row.run);
  return object;
}

std::string table_text(const std::vector<Row>& rows, bool gpu, const Style& style) {
  std::map<std::int64_t, const Row*> full;
  for (const Row& row : rows) {
    if (row.mode == "full") full[row.context] = &row;
  }
  TextTable table({{"tokens", true, false, true},
                   {"attention", false, false, true},
                   {"first token", true},
                   {"prompt tok/s", true},
                   {"decode tok/s", true},
                   {"KV cache", true},
                   {"kept", true},
                   {gpu ? "GPU peak" : "peak", true},
                   {"speed-up", true}});
  const Row* previous = nullptr;
  for (const Row& row : rows) {
    if (previous != nullptr && previous->context != row.context) table.add_rule();
    previous = &row;
    const auto base = full.find(row.context);
    const bool compare = base != full.end() && base->second != &row;
    table.add_row(
        {{format_count(row.context)},
         {row.mode},
         {format_seconds(row.first_token)},
         {format_count(std::llround(static_cast<double>(row.context) / row.first_token))},
         {fmt::format("{:.1f}", row.decode_rate)},
         {format_bytes(row.kv_bytes)},
         {format_percent(row.kept_share)},
         {format_bytes(row.peak_bytes)},
         {compare ? fmt::format("{:.2f}x", base->second->first_token / row.first_token) : "", CellStyle::kBold}});
  }
  return table.render(style, "");
}

// Those that were asked for, or the usual ones as far as the model goes.
std::vector<std::int64_t> choose_contexts(const BenchArgs& args, const LoadedModel& loaded) {
  const std::int64_t behind = uncounted_tokens(loaded) + args.decode;
  for (const std::int64_t context : args.contexts) {
    check_length(fmt::format("--ctx {} with --decode {}", context, args.decode), context + behind, loaded);
  }
  if (!args.contexts.empty()) return args.contexts;
  check_length(fmt::format("--decode {}", args.decode), behind + 1, loaded);
  std::vector<std::int64_t> contexts;
  for (const std::int64_t usual : kUsualContexts) {
    contexts.push_back(choose_length("--ctx", std::nullopt, usual, /*least=*/1, behind, loaded));
    if (contexts.back() < usual) break;  // all longer ones would be the same
  }
  return contexts;
}

int run(const BenchArgs& given) {
  constexpr std::int64_t kMostUncounted = 2;
  const LoadedModel loaded = given.random.empty()
                                 ? load_model(given.model)
                                 : load_random_model(given.model, given.random, given.decode + kMostUncounted);
  BenchArgs args = given;
  args.contexts = choose_contexts(given, loaded);
  const std::int64_t longest = *std::max_element(args.contexts.begin(), args.contexts.end());
  const std::vector<std::int32_t> ids = tokens_of(args, loaded, longest);
  for (const std::string& mode : args.modes) {
    if (mode != "full") note_options(args.attention, options_of(args, loaded, mode), loaded, /*hints=*/false);
  }
  std::vector<Row> rows;
  for (const std::int64_t context : args.contexts) {
    for (const std::string& mode : args.modes) {
      Row row;
      row.context = context;
      row.mode = mode;
      warm_up(args, loaded, std::span(ids).first(static_cast<std::size_t>(context)), mode);
      for (int i = 0; i < args.repeat; ++i) {
        measure(args, loaded, std::span(ids).first(static_cast<std::size_t>(context)), row);
      }
      rows.push_back(std::move(row));
    }
  }
  if (!args.json) {
    if (!args.random.empty()) write_output(loaded.name() + ": speed and memory only\n\n");
    write_output(table_text(rows, on_gpu(loaded), style_of(STDOUT_FILENO)));
    return 0;
  }
  Json list = Json::array();
  for (const Row& row : rows) list.push_back(to_json(row));
  write_json({{"command", "bench"},
              {"version", TCA_VERSION},
              {"model", model_json(loaded)},
              {"backend", loaded.backend->name()},
              {"isa", loaded.backend->capabilities().isa},
              {"threads", loaded.pool->num_threads()},
              {"decode_tokens", args.decode},
              {"batch", args.batch},
              {"rows", std::move(list)}});
  return 0;
}

}  // namespace

void add_bench_command(CLI::App& app, Job& job) {
  add_command<BenchArgs>(app, job, "bench", "Measure time and memory from prompt to answer", add_options, run)
      .footer("Example:\n  tca bench --ctx 8192,32768,131072 --attention full,tca --repeat 3");
}

}  // namespace tca::cli
