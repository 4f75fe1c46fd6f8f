// What `tca eval` takes, whether it plants facts or reads tasks from files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/facts.h"
#include "cli/loaded_model.h"
#include "evaluation/tasks.h"

namespace tca::cli {

/// --from, --limit, --skip-too-long.
struct TaskFileArgs {
  std::vector<std::string> files;
  std::optional<std::int64_t> limit;  // documents of each file
  bool skip_too_long = false;
};

struct EvalArgs {
  ModelArgs model;
  AttentionArgs attention;
  FactArgs facts;
  TaskFileArgs tasks;
  std::string chat_template;
  std::optional<std::int64_t> context;  // of documents with facts
  int documents = 4;
  std::vector<std::string> methods = {"full", "tca:0.2", "tca:0.1", "paper:0.39", "window:0.39"};
  std::uint64_t seed = 0;
  std::string ask = "later";
  std::string answers, saved_documents;  // files to write
  bool force = false;
  bool no_distractors = false;
  bool nll = false;
  bool json = false;
};

/// One for each of --methods. Says on standard error where the profile has another share than one that was asked for.
/// Throws kInvalidArgument for what is no method, or needs a profile that is not there, kUnsupported for what does not
/// run on the model's device. loaded must outlive them.
std::vector<evaluation::MethodFor> make_methods(const EvalArgs& args, const LoadedModel& loaded);

/// Before the work: throws kInvalidArgument where a file of --answers or --save-documents is there and --force is not,
/// kIo where it cannot be written.
void check_files_to_write(const EvalArgs& args);
/// Whole or not at all; nothing where no path was given.
void write_lines(const std::string& path, const std::string& lines);

/// --from and what goes with it; the options of facts, which must be there, exclude it.
void add_task_file_options(CLI::App& app, TaskFileArgs& args);
/// The job where files are given.
int eval_tasks(const EvalArgs& args);

}  // namespace tca::cli
