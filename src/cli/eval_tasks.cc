// tca eval --from: documents and questions of published benchmarks, methods side by side.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "cli/eval_args.h"
#include "cli/format.h"
#include "cli/lengths.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/task_report.h"
#include "cli/wrap.h"
#include "core/file.h"
#include "tca/version.h"

namespace tca::cli {
namespace {

using evaluation::TaskDocument;
using evaluation::TaskPrompt;

struct TaskFile {
  std::string path;
  std::vector<TaskDocument> documents;
  std::int64_t left_out = 0;  // too long for the model
};

// Mapped, since published files are larger than what is read of a text, and --limit may leave most of one alone.
std::vector<TaskFile> read_files(const TaskFileArgs& args) {
  std::vector<TaskFile> files;
  for (const std::string& path : args.files) {
    const MappedFile file(path);
    const std::string_view content(reinterpret_cast<const char*>(file.data()), file.size());
    files.push_back({path, evaluation::parse_task_file(content, path, args.limit)});
  }
  return files;
}

std::int64_t count_documents(const std::vector<TaskFile>& files) {
  std::int64_t count = 0;
  for (const TaskFile& file : files) count += std::ssize(file.documents);
  return count;
}

// Throws where a document does not fit; with --skip-too-long only where none does.
std::vector<TaskPrompt> make_prompts(std::vector<TaskFile>& files, const runtime::ChatFrames& chat, bool skip_too_long,
                                     const LoadedModel& loaded) {
  const std::int64_t most = most_session_tokens(loaded), total = count_documents(files);
  std::vector<TaskPrompt> prompts;
  ProgressBar bar("documents to tokens");
  std::int64_t done = 0;
  for (TaskFile& file : files) {
    for (TaskDocument& document : file.documents) {
      if (stop_requested()) throw Error(ErrorCategory::kCancelled, "interrupted");
      TaskPrompt prompt = evaluation::make_task_prompt(chat, std::move(document));
      bar.update(++done, total);
      if (prompt.most_tokens <= most) {
        prompts.push_back(std::move(prompt));
        continue;
      }
      ++file.left_out;
      if (skip_too_long) continue;
      throw Error(ErrorCategory::kInvalidArgument,
                  fmt::format("{} has {} tokens, {} with questions and answers, and the model goes up to {}: "
                              "--skip-too-long leaves out what does not fit",
                              place_of(prompt.document), format_count(std::ssize(prompt.context)),
                              format_count(prompt.most_tokens), format_count(most)));
    }
  }
  if (prompts.empty()) {
    throw Error(ErrorCategory::kInvalidArgument,
                fmt::format("--skip-too-long leaves nothing: none of the {} fits into the {} tokens that the model "
                            "goes up to",
                            counted(total, "document"), format_count(most)));
  }
  return prompts;
}

void note_left_out(const std::vector<TaskFile>& files, const LoadedModel& loaded) {
  for (const TaskFile& file : files) {
    if (file.left_out == 0) continue;
    note(fmt::format("{}: {} of {} left out, longer than the {} tokens that the model goes up to", file.path,
                     format_count(file.left_out), counted(std::ssize(file.documents), "document"),
                     format_count(most_session_tokens(loaded))));
  }
}

std::vector<TaskMethodResult> evaluate(const EvalArgs& args, const LoadedModel& loaded, const runtime::ChatFrames& chat,
                                       const std::vector<evaluation::MethodFor>& methods,
                                       const std::vector<TaskPrompt>& prompts) {
  const evaluation::Setup setup{loaded.model, *loaded.backend, *loaded.pool, loaded.tokenizer,
                                stop_ids(loaded.model->config(), &chat.form())};
  std::vector<TaskMethodResult> results;
  for (std::size_t i = 0; i < methods.size(); ++i) {
    ProgressBar bar(fmt::format("{} ({} of {}): questions", args.methods[i], i + 1, methods.size()));
    results.push_back({evaluation::evaluate_tasks(setup, chat, methods[i], prompts, bar.callback()), {}});
  }
  const auto full =
      std::find_if(results.begin(), results.end(), [](const auto& result) { return result.result.method == "full"; });
  if (full == results.end()) return results;
  for (auto& [result, survival] : results) survival = task_survival(full->result, result, prompts, args.seed);
  return results;
}

struct Lengths {
  std::int64_t shortest = std::numeric_limits<std::int64_t>::max(), longest = 0;
};

Lengths lengths_of(const std::vector<TaskPrompt>& prompts) {
  Lengths lengths;
  for (const TaskPrompt& prompt : prompts) {
    lengths.shortest = std::min(lengths.shortest, std::ssize(prompt.context));
    lengths.longest = std::max(lengths.longest, std::ssize(prompt.context));
  }
  return lengths;
}

std::string heading(const std::vector<TaskPrompt>& prompts, std::int64_t questions) {
  const auto [shortest, longest] = lengths_of(prompts);
  const std::string length = shortest == longest
                                 ? counted(longest, "token")
                                 : fmt::format("{} to {}", format_count(shortest), counted(longest, "token"));
  return fmt::format("{} of {}, {}", counted(std::ssize(prompts), "document"), length, counted(questions, "question"));
}

void write_results(const EvalArgs& args, const LoadedModel& loaded, const std::vector<TaskFile>& files,
                   const std::vector<TaskPrompt>& prompts, const std::vector<TaskMethodResult>& results) {
  const auto [shortest, longest] = lengths_of(prompts);
  Json file_list = Json::array(), methods = Json::array();
  for (const TaskFile& file : files) {
    file_list.push_back(
        {{"path", file.path}, {"documents", std::ssize(file.documents) - file.left_out}, {"left_out", file.left_out}});
  }
  for (const TaskMethodResult& result : results) methods.push_back(task_method_json(result));
  write_json({{"command", "eval"},
              {"version", TCA_VERSION},
              {"model", model_json(loaded)},
              {"files", std::move(file_list)},
              {"documents", prompts.size()},
              {"shortest_document", shortest},
              {"longest_document", longest},
              {"seed", args.seed},
              {"methods", std::move(methods)},
              {"threads", loaded.pool->num_threads()}});
}

}  // namespace

void add_task_file_options(CLI::App& app, TaskFileArgs& args) {
  constexpr char kGroup[] = "Tasks from files";
  CLI::Option* const from =
      app.add_option("--from", args.files, "In place of facts: tasks as RULER, SCBench and LongBench v2 publish them")
          ->type_name("FILE...")
          ->group(kGroup);
  app.add_option("--limit", args.limit, "Documents of each file, from its beginning (default: all)")
      ->check(in_int_range(1, std::numeric_limits<std::int64_t>::max()))
      ->type_name("N")
      ->needs(from)
      ->group(kGroup);
  app.add_flag("--skip-too-long", args.skip_too_long, "Leave out documents that the model is too short for")
      ->needs(from)
      ->group(kGroup);
  for (const char* const of_facts : {"--facts", "--questions", "--text", "--ctx", "--documents", "--no-distractors",
                                     "--ask", "--nll", "--save-documents"}) {
    from->excludes(app.get_option(of_facts));
  }
}

int eval_tasks(const EvalArgs& args) {
  std::vector<TaskFile> files = read_files(args.tasks);
  const LoadedModel loaded = load_model(args.model);
  const std::vector<evaluation::MethodFor> methods = make_methods(args, loaded);
  const runtime::ChatFrames chat(runtime::ChatTemplate::load(loaded.dir, loaded.tokenizer, args.chat_template));
  const std::vector<TaskPrompt> prompts = make_prompts(files, chat, args.tasks.skip_too_long, loaded);
  note_left_out(files, loaded);
  const std::vector<TaskMethodResult> results = evaluate(args, loaded, chat, methods, prompts);
  write_lines(args.answers, task_answer_lines(results, prompts));
  if (args.json) {
    write_results(args, loaded, files, prompts, results);
    return 0;
  }
  const Style style = style_of(STDOUT_FILENO);
  const std::string what = heading(prompts, results.front().result.total.questions);
  write_output(fill(what, style.width(), 0) + "\n" + task_tables(results, style));
  return 0;
}

}  // namespace tca::cli
