// tca bench: end-to-end figures of a model on this machine, a fresh session for every row.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/input.h"
#include "cli/locate.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/text_table.h"
#include "runtime/engine/generate.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

struct BenchArgs {
  ModelArgs model;
  AttentionArgs attention;
  std::vector<std::int64_t> contexts = {1024, 8192, 32768};
  std::vector<std::string> modes = {"full", "tca"};
  std::string text = kDefaultText;
  std::int64_t decode = 64;
  int repeat = 1;
  bool json = false;
};

void add_options(CLI::App& app, BenchArgs& args) {
  app.add_option("--ctx", args.contexts, "Prompt lengths in tokens")
      ->delimiter(',')
      ->check(in_int_range(1, std::numeric_limits<std::int32_t>::max()))
      ->type_name("N,...")
      ->capture_default_str();
  app.add_option("--attention", args.modes, "Modes to measure: full, tca, auto")
      ->delimiter(',')
      ->check(CLI::IsMember({"auto", "full", "tca"}).description(""))
      ->type_name("MODE,...")
      ->capture_default_str();
  app.add_option("--decode", args.decode, "Tokens to generate after each prompt")
      ->check(in_int_range(0, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
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

void measure(const BenchArgs& args, const LoadedModel& loaded, std::span<const std::int32_t> ids, Row& row) {
  reset_peak_memory();
  runtime::Session session(loaded.model, *loaded.backend, *loaded.pool, options_of(args, loaded, row.mode));
  const Stopwatch watch;
  const auto logits = read_with_bar(session, ids, fmt::format("{} tokens, {}", format_count(row.context), row.mode));
  const double first_token = watch.seconds();
  const runtime::ReadStats read = session.last_read();
  runtime::GenerateOptions options;
  options.max_tokens = args.decode;
  options.on_text = [](const std::string&) { return !stop_requested(); };
  const runtime::GenerateResult generated = runtime::generate(session, loaded.tokenizer, logits, options);
  if (stop_requested()) throw Error(ErrorCategory::kCancelled, "interrupted");

  const bool fastest = row.first_token_seconds.empty() || first_token < row.first_token;
  row.first_token_seconds.push_back(first_token);
  row.decode_rates.push_back(generated.tokens_per_second);
  row.decode_rate = std::max(row.decode_rate, generated.tokens_per_second);
  if (!fastest) return;
  row.first_token = first_token;
  row.kept_share = session.kept_share();
  row.kv_bytes = session.kv_bytes();
  row.peak_bytes = peak_memory_bytes();
  row.run = {{"attention", attention_json(session, profile_path(args.attention, loaded))},
             {"read", read_json(read)},
             {"kv", kv_json(session)},
             {"memory", memory_json(loaded)}};
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

std::string table_text(const std::vector<Row>& rows, const Style& style) {
  std::map<std::int64_t, const Row*> full;
  for (const Row& row : rows) {
    if (row.mode == "full") full[row.context] = &row;
  }
  TextTable table({{"tokens", true},
                   {"attention"},
                   {"first token", true},
                   {"prompt tok/s", true},
                   {"decode tok/s", true},
                   {"KV cache", true},
                   {"kept", true},
                   {"peak", true},
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
  return table.render(kTableWidth, style, "");
}

int run(const BenchArgs& args) {
  const LoadedModel loaded = load_model(args.model);
  const std::int64_t longest = *std::max_element(args.contexts.begin(), args.contexts.end());
  check_context(longest + args.decode, args.attention, loaded);
  const std::vector<std::int32_t> ids = tokens_of(args, loaded, longest);
  std::vector<Row> rows;
  for (const std::int64_t context : args.contexts) {
    for (const std::string& mode : args.modes) {
      Row row;
      row.context = context;
      row.mode = mode;
      for (int i = 0; i < args.repeat; ++i) {
        measure(args, loaded, std::span(ids).first(static_cast<std::size_t>(context)), row);
      }
      rows.push_back(std::move(row));
    }
  }
  if (!args.json) {
    write_output(table_text(rows, Style(may_colour(STDOUT_FILENO))));
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
              {"rows", std::move(list)}});
  return 0;
}

}  // namespace

void add_bench_command(CLI::App& app, Job& job) {
  add_command<BenchArgs>(app, job, "bench", "Measure time and memory from prompt to answer", add_options, run)
      .footer("Example:\n  tca bench --ctx 8192,32768,131072 --attention full,tca --repeat 3");
}

}  // namespace tca::cli
