// tca_tokenize DIR MODE: a filter that lets the Python tests reach the tokenizer.
// Standard input holds items, each a 32-bit length and that many bytes; so does standard output. Modes:
//   encode, encode_special, plain   text -> 32-bit ids
//   decode, decode_special          ids -> text, pushed through StreamDecoder
//   chat                            {"messages", "tools", "add_generation_prompt", "enable_thinking", "file"}
//                                   -> {"text", "ids"} or {"category", "error"}
//   stop_ids                        {} -> [ids]
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/chat/chat_template.h"
#include "runtime/tokenizer/tokenizer.h"
#include "tca/error.h"

namespace {

using Ids = std::vector<std::int32_t>;
using json = nlohmann::ordered_json;
using tca::runtime::ChatTemplate;
using tca::runtime::StreamDecoder;
using tca::runtime::Tokenizer;

std::string bytes_of(const Ids& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(std::int32_t)};
}

std::string decode(const Tokenizer& tokenizer, const std::string& item, bool skip_special) {
  Ids ids(item.size() / sizeof(std::int32_t));
  std::memcpy(ids.data(), item.data(), ids.size() * sizeof(std::int32_t));
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (const std::int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

const char* category_name(tca::ErrorCategory category) {
  return category == tca::ErrorCategory::kInvalidArgument ? "invalid_argument"
         : category == tca::ErrorCategory::kBadFile       ? "bad_file"
         : category == tca::ErrorCategory::kUnsupported   ? "unsupported"
                                                          : "other";
}

std::string chat(const Tokenizer& tokenizer, const std::string& dir, const std::string& item) {
  static std::map<std::string, ChatTemplate> forms;  // by the file given instead of the model's
  const auto request = json::parse(item);
  const auto file = request.value("file", "");
  auto found = forms.find(file);
  if (found == forms.end()) found = forms.emplace(file, ChatTemplate::load(dir, tokenizer, file)).first;
  const ChatTemplate& form = found->second;
  try {
    tca::runtime::ChatInput input = {.messages = tca::runtime::messages_from_json(request.at("messages"), "request")};
    if (request.contains("tools") && !request["tools"].is_null()) {
      input.tools = tca::runtime::objects_from_json(request["tools"], "tools", "request");
    }
    input.add_generation_prompt = request.value("add_generation_prompt", true);
    if (request.contains("enable_thinking") && !request["enable_thinking"].is_null()) {
      input.enable_thinking = request["enable_thinking"].get<bool>();
    }
    const tca::runtime::ChatPrompt prompt = form.encode(input);
    return json({{"text", prompt.text.bytes()}, {"ids", prompt.ids}}).dump();
  } catch (const tca::Error& error) {
    return json({{"category", category_name(error.category())}, {"error", error.what()}})
        .dump(-1, ' ', true, json::error_handler_t::replace);
  }
}

std::string answer(const Tokenizer& tokenizer, const std::string& dir, const std::string& mode,
                   const std::string& item) {
  if (mode == "encode" || mode == "encode_special") {
    return bytes_of(tokenizer.encode(item, mode == "encode_special"));
  }
  if (mode == "plain") return bytes_of(tokenizer.encode_plain(item));
  if (mode == "decode" || mode == "decode_special") return decode(tokenizer, item, mode == "decode");
  if (mode == "stop_ids") return json(ChatTemplate::load(dir, tokenizer).stop_ids()).dump();
  return chat(tokenizer, dir, item);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: tca_tokenize DIR MODE < items > items\n");
    return 2;
  }
  try {
    const std::string dir = argv[1];
    const Tokenizer tokenizer = Tokenizer::load(dir);
    const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    std::uint32_t length = 0;
    for (std::size_t at = 0; at + sizeof(length) <= input.size(); at += length) {
      std::memcpy(&length, input.data() + at, sizeof(length));
      at += sizeof(length);
      const std::string output = answer(tokenizer, dir, argv[2], input.substr(at, length));
      const auto size = static_cast<std::uint32_t>(output.size());
      std::fwrite(&size, sizeof(size), 1, stdout);
      std::fwrite(output.data(), 1, output.size(), stdout);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tca_tokenize: %s\n", error.what());
    return 1;
  }
  return 0;
}
