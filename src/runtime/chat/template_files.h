// Where a model's chat template lies, and the special tokens that it is given: as Transformers looks for them.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tca::runtime {

struct TemplateFile {
  std::string name;  // the file; for one of several in tokenizer_config.json with its place there
  std::string text;
};

struct TemplateFiles {
  /// By name: "default", and "tool_use" and the like where a model has several.
  std::map<std::string, TemplateFile> templates;
  /// "bos_token", "eos_token", ... with what they are written as.
  std::vector<std::pair<std::string, std::string>> special_tokens;

  /// file: the template to take instead of the model's; "": dir/chat_template.jinja and
  /// dir/additional_chat_templates/*.jinja, else those of dir/tokenizer_config.json; where path is a GGUF file or the
  /// folder of one, those of its metadata. Throws kUnsupported where there is no template at all, kBadFile for files
  /// that are broken.
  static TemplateFiles load(const std::string& path, const std::string& file);
};

}  // namespace tca::runtime
