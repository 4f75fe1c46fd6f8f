#include "runtime/io/model_folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/check.h"
#include "core/file.h"
#include "core/file_kind.h"
#include "core/json.h"

namespace tca::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFileBytes = std::size_t{16} << 20;
constexpr std::size_t kMostListed = 4;

// Names in a folder, sorted; none when it cannot be read.
std::vector<std::string> names_in(const fs::path& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMostListed); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMostListed ? text + ", ..." : text;
}

// The first name that ends with one of the endings.
std::string first_ending(const std::vector<std::string>& names, std::initializer_list<const char*> endings) {
  for (const std::string& name : names) {
    for (const char* ending : endings) {
      if (name.ends_with(ending)) return name;
    }
  }
  return "";
}

bool contains(const std::vector<std::string>& names, const char* name) {
  return std::binary_search(names.begin(), names.end(), name);
}

const char* needed(ModelPart part) {
  switch (part) {
    case ModelPart::kConfig:
      return "config.json";
    case ModelPart::kWeights:
      return "model.safetensors or model.safetensors.index.json";
    case ModelPart::kTokenizer:
      return "tokenizer.json";
  }
  return "";
}

std::string describe_adapter(const std::string& dir) {
  std::string base = "its base model";
  try {
    const std::string path = dir + "/adapter_config.json";
    const JsonDocument config(parse_python_json(read_file(path, kMaxFileBytes), path));
    if (const auto name = get_optional_string(*config, "base_model_name_or_path", path)) {
      base += text(", ", name->substr(0, 100), ",");
    }
  } catch (const Error&) {  // the folder is an adapter's all the same
  }
  return text("it is a LoRA adapter (adapter_config.json), which is not supported alone: merge it into ", base,
              " with PEFT's merge_and_unload() and save_pretrained(), and give the merged model's folder");
}

std::string describe_weights(const std::vector<std::string>& names) {
  if (const auto bin = first_ending(names, {".bin", ".pth", ".pt"}); !bin.empty()) {
    return text("its weights are PyTorch's (", bin,
                "); save them as safetensors: AutoModelForCausalLM.from_pretrained(FOLDER, dtype=\"auto\")"
                ".save_pretrained(NEW_FOLDER)");
  }
  if (const auto gguf = first_ending(names, {".gguf"}); !gguf.empty()) {
    return text(gguf, " is a GGUF file, which stands for a whole model: give its own path");
  }
  if (const auto own = first_ending({names}, {".safetensors"}); !own.empty()) {
    return text("of safetensors it holds ", own, ", which is another layout, or a part of a download");
  }
  return "";
}

std::string describe_tokenizer(const std::vector<std::string>& names) {
  const bool has_vocab = contains(names, "vocab.json") && contains(names, "merges.txt");
  const std::string other =
      has_vocab ? "vocab.json and merges.txt" : first_ending(names, {"tokenizer.model", "tekken.json", ".tiktoken"});
  if (other.empty()) return "";
  return text("it has ", other,
              " alone; make tokenizer.json of it: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)");
}

// Folders in dir that hold a config.json.
std::vector<std::string> models_in(const std::string& dir, const std::vector<std::string>& names) {
  std::vector<std::string> models;
  for (const std::string& name : names) {
    const std::string folder = (fs::path(dir) / name).string();
    if (has_entry(folder + "/config.json")) models.push_back(folder);
  }
  return models;
}

std::string describe_folder(const std::string& dir, ModelPart part) {
  const std::vector<std::string> names = names_in(dir);
  if (names.empty()) return "it is empty";
  if (contains(names, "adapter_config.json")) return describe_adapter(dir);
  if (const auto snapshots = hub_snapshots(dir); !snapshots.empty()) {
    return "it is the top folder of a model in a Hugging Face cache; give a snapshot: " + list(snapshots);
  }
  if (const auto models = models_in(dir, names); !models.empty()) return "folders in it are models: " + list(models);
  if (part == ModelPart::kTokenizer) return describe_tokenizer(names);
  return describe_weights(names);
}

}  // namespace

void fail_without(const std::string& dir, ModelPart part) {
  std::error_code error;
  if (fs::is_regular_file(dir, error)) {
    std::string head(64, '\0');
    FileReader reader(dir);
    head.resize(static_cast<std::size_t>(std::min<std::uint64_t>(head.size(), reader.size())));
    reader.read(head.data(), head.size());
    const std::string foreign = describe_foreign_content(head);
    fail(ErrorCategory::kIo,
         text(dir, ": is ", foreign.empty() ? "a file; expected the folder of a model, or a GGUF file" : foreign));
  }
  if (!fs::is_directory(dir, error)) fail(ErrorCategory::kIo, dir + ": no such folder");
  const std::string found = describe_folder(dir, part);
  fail(ErrorCategory::kIo, text(dir, ": holds no ", needed(part), ": ",
                                found.empty() ? "expected the folder of a Hugging Face checkpoint" : found));
}

std::vector<std::string> hub_snapshots(const std::string& top) {
  std::vector<std::string> names = names_in(fs::path(top) / "snapshots");
  try {
    std::string main = read_file(top + "/refs/main", 1024);
    while (!main.empty() && main.back() <= ' ') main.pop_back();
    const auto found = std::find(names.begin(), names.end(), main);
    if (found != names.end()) std::rotate(names.begin(), found, found + 1);
  } catch (const Error&) {  // without the reference every snapshot is as good as any
  }
  for (std::string& name : names) name = (fs::path(top) / "snapshots" / name).string();
  return names;
}

}  // namespace tca::runtime
