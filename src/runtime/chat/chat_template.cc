#include "runtime/chat/chat_template.h"

#include <utility>

#include "core/check.h"
#include "core/sha256.h"
#include "runtime/chat/markers.h"
#include "runtime/jinja/template.h"
#include "runtime/tokenizer/added_tokens.h"

namespace tca::runtime {
namespace {

using jinja::Origin;
using jinja::Value;

constexpr const char* kDefault = "default";
constexpr const char* kToolUse = "tool_use";

// What is tried on a template to learn what it does.
constexpr std::string_view kProbe = "probe";
const ChatMessage kQuestion = {"user", foreign_text(kProbe)};
const ChatMessage kAnswer = {"assistant", foreign_text(kProbe)};

const TemplateFile& default_template(const TemplateFiles& files) {
  const auto found = files.templates.find(kDefault);
  if (found != files.templates.end()) return found->second;
  std::string names;
  for (const auto& [name, file] : files.templates) names += (names.empty() ? "" : ", ") + name;
  fail(ErrorCategory::kUnsupported, text("the model has several chat templates (", names,
                                         "), none of them named default; give one with --chat-template FILE"));
}

std::string text_of_missing(const std::string& form, std::string_view marker) {
  return text(form, ": the chat template writes ", marker, ", for which the tokenizer has no token: it belongs to ",
              "another tokenizer; give a template that fits with --chat-template FILE");
}

}  // namespace

struct ChatTemplate::Impl {
  struct Form {
    std::string name;
    jinja::Template program;
    // Which contents of messages it shows. Most take texts; some of those that know pictures take only parts.
    bool takes_texts = true, takes_parts = false;
  };

  const Tokenizer* tokenizer;
  std::vector<std::pair<std::string, std::string>> special_tokens;
  std::vector<std::string> declared;  // their texts
  std::optional<Form> form;           // for chats without tools
  std::optional<Form> tool_form;      // where the model has one
  std::unordered_set<std::int32_t> controls;
  std::vector<std::int32_t> stop_ids;
  bool needs_alternation = false;
  std::string sha256;

  Impl(TemplateFiles files, const Tokenizer& its_tokenizer);
  Form make_form(const TemplateFile& file);
  Value globals(const Form& used, const ChatInput& input) const;
  jinja::Text render(const Form& used, const ChatInput& input) const;
  std::optional<jinja::Text> try_render(const std::vector<ChatMessage>& messages, bool add_generation_prompt) const;
  void learn_contents(Form& used) const;
  void learn_end(const std::vector<ChatMessage>& messages, std::size_t contents_after);
  void learn_alternation();
  void add_markers_of(const jinja::Text& text, std::unordered_set<std::int32_t>& ids) const;
  void check_markers(const Form& used, const jinja::Text& text) const;
};

ChatTemplate::Impl::Impl(TemplateFiles files, const Tokenizer& its_tokenizer)
    : tokenizer(&its_tokenizer), special_tokens(std::move(files.special_tokens)) {
  std::string hashed;
  for (const auto& [name, token] : special_tokens) {
    declared.push_back(token);
    hashed += name + '\0' + token + '\0';
  }
  form = make_form(default_template(files));
  hashed += default_template(files).text;
  const auto tool_use = files.templates.find(kToolUse);
  if (tool_use != files.templates.end()) {
    tool_form = make_form(tool_use->second);
    hashed += '\0' + tool_use->second.text;
  }
  sha256 = sha256_hex(hashed);
  // The token after an answer ends it. Where nothing ends a last answer, what begins the next message does.
  learn_end({kQuestion, kAnswer}, 0);
  if (stop_ids.empty()) learn_end({kQuestion, kAnswer, kQuestion}, 1);
  learn_alternation();
  if (const auto text = try_render({kQuestion}, true)) {
    add_markers_of(*text, controls);
    check_markers(*form, *text);
  }
}

ChatTemplate::Impl::Form ChatTemplate::Impl::make_form(const TemplateFile& file) {
  Form made = {file.name, jinja::Template::parse(file.text, file.name)};
  for (const AddedToken& token : tokenizer->added_tokens()) {
    const bool is_named = is_marker(token.content) && file.text.find(token.content) != std::string::npos;
    if (is_named || is_bar_marker(token.content)) controls.insert(token.id);
  }
  learn_contents(made);
  return made;
}

Value ChatTemplate::Impl::globals(const Form& used, const ChatInput& input) const {
  const bool as_texts = used.takes_texts && !used.takes_parts;
  const bool as_parts = used.takes_parts && !used.takes_texts;
  std::vector<std::pair<std::string, Value>> names;
  for (const auto& [name, token] : special_tokens) names.emplace_back(name, Value::string(token, Origin::kTrusted));
  names.emplace_back("messages", as_texts   ? with_text_contents(input.messages)
                                 : as_parts ? with_part_contents(input.messages)
                                            : input.messages);
  names.emplace_back("tools", input.tools);
  names.emplace_back("documents", Value::none());
  names.emplace_back("add_generation_prompt", Value::boolean(input.add_generation_prompt));
  if (input.enable_thinking) names.emplace_back("enable_thinking", Value::boolean(*input.enable_thinking));
  return Value::dict(names);
}

jinja::Text ChatTemplate::Impl::render(const Form& used, const ChatInput& input) const {
  jinja::RenderOptions options;
  options.now = input.now;
  return used.program.render(globals(used, input), options).text;
}

// Nothing where the template refuses such messages.
std::optional<jinja::Text> ChatTemplate::Impl::try_render(const std::vector<ChatMessage>& messages,
                                                          bool add_generation_prompt) const {
  try {
    return render(*form, {.messages = chat_messages(messages), .add_generation_prompt = add_generation_prompt});
  } catch (const Error& error) {
    if (error.category() != ErrorCategory::kInvalidArgument) throw;
    return std::nullopt;
  }
}

void ChatTemplate::Impl::learn_contents(Form& used) const {
  const auto shown = [&](bool as_parts) -> std::string {
    Form tried = used;
    tried.takes_texts = !as_parts;
    tried.takes_parts = as_parts;
    try {
      const jinja::Text text = render(tried, {.messages = chat_messages(std::span(&kQuestion, 1))});
      const auto& foreign = text.foreign();
      const bool whole = foreign.size() == 1 && foreign[0].end - foreign[0].begin == kProbe.size();
      return whole ? text.bytes() : "";
    } catch (const Error& error) {
      if (error.category() != ErrorCategory::kInvalidArgument) throw;
      return "";
    }
  };
  const std::string of_text = shown(false);
  const std::string of_parts = shown(true);
  used.takes_parts = !of_parts.empty() && (of_text.empty() || of_parts == of_text);
  used.takes_texts = !of_text.empty() || !used.takes_parts;
}

// contents_after: how many messages follow the answer.
void ChatTemplate::Impl::learn_end(const std::vector<ChatMessage>& messages, std::size_t contents_after) {
  const auto text = try_render(messages, false);
  if (!text) return;
  add_markers_of(*text, controls);
  check_markers(*form, *text);
  const auto& contents = text->foreign();
  if (contents.size() <= contents_after) return;
  const std::size_t answer = contents.size() - 1 - contents_after;
  const std::size_t end = answer + 1 < contents.size() ? contents[answer + 1].begin : text->size();
  const std::string_view after =
      std::string_view(text->bytes()).substr(contents[answer].end, end - contents[answer].end);
  const std::vector<FoundToken> markers = find_markers(*tokenizer, after);
  const std::string_view tag = contents_after == 0 ? leading_tag(after) : std::string_view();
  const std::size_t before_tag = static_cast<std::size_t>(tag.data() - after.data());
  if (!tag.empty() && (markers.empty() || markers.front().range.begin > before_tag)) {
    fail(ErrorCategory::kUnsupported, text_of_missing(form->name, tag));
  }
  if (markers.empty()) return;
  stop_ids.push_back(markers.front().id);
  controls.insert(markers.front().id);
}

void ChatTemplate::Impl::learn_alternation() {
  if (!try_render({kQuestion}, true)) return;
  const auto both = try_render({kQuestion, kQuestion}, true);
  needs_alternation = !both || both->foreign().size() < 2;
}

void ChatTemplate::Impl::add_markers_of(const jinja::Text& text, std::unordered_set<std::int32_t>& ids) const {
  for (const Range& range : trusted_stretches(text)) {
    const std::string_view stretch = std::string_view(text.bytes()).substr(range.begin, range.size());
    for (const FoundToken& token : find_markers(*tokenizer, stretch)) ids.insert(token.id);
  }
}

void ChatTemplate::Impl::check_markers(const Form& used, const jinja::Text& text) const {
  const auto missing = missing_marker(*tokenizer, text, declared);
  if (missing) fail(ErrorCategory::kUnsupported, text_of_missing(used.name, *missing));
}

ChatTemplate ChatTemplate::load(const std::string& dir, const Tokenizer& tokenizer, const std::string& file) {
  return ChatTemplate(TemplateFiles::load(dir, file), tokenizer);
}

ChatTemplate::ChatTemplate(TemplateFiles files, const Tokenizer& tokenizer)
    : impl_(std::make_shared<const Impl>(std::move(files), tokenizer)) {}

ChatPrompt ChatTemplate::encode(const ChatInput& input) const {
  const bool has_tools = !input.tools.is(Value::Kind::kNone);
  const Impl::Form& form = has_tools && impl_->tool_form ? *impl_->tool_form : *impl_->form;
  ChatPrompt prompt;
  prompt.text = impl_->render(form, input);
  impl_->check_markers(form, prompt.text);
  std::unordered_set<std::int32_t> controls = impl_->controls;
  impl_->add_markers_of(prompt.text, controls);
  MixedText mixed = {.bytes = prompt.text.bytes(), .controls = &controls};
  for (const jinja::Span& span : prompt.text.foreign()) mixed.outside.push_back({span.begin, span.end});
  prompt.ids = impl_->tokenizer->encode_mixed(mixed);
  return prompt;
}

const std::vector<std::int32_t>& ChatTemplate::stop_ids() const { return impl_->stop_ids; }
bool ChatTemplate::needs_alternation() const { return impl_->needs_alternation; }
const std::unordered_set<std::int32_t>& ChatTemplate::controls() const { return impl_->controls; }
const Tokenizer& ChatTemplate::tokenizer() const { return *impl_->tokenizer; }
const std::string& ChatTemplate::name() const { return impl_->form->name; }
const std::string& ChatTemplate::sha256() const { return impl_->sha256; }

std::vector<ChatMessage> user_turn(const ChatTemplate& chat, const std::vector<jinja::Text>& texts) {
  std::vector<ChatMessage> messages;
  for (const jinja::Text& text : texts) {
    if (messages.empty() || !chat.needs_alternation()) {
      messages.push_back({"user", text});
    } else {
      messages.back().content.append("\n", Origin::kTrusted);
      messages.back().content.append(text);
    }
  }
  return messages;
}

}  // namespace tca::runtime
