"""Chat templates of the published families (chat_templates/*.jinja), each with a tokenizer that has its tokens."""
import json
import pathlib

from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

import tokenizer_families as families

TEMPLATES = pathlib.Path(__file__).parent / "chat_templates"


class Form:
    """base: of tokenizer_families; specials, plain: further tokens, special or not."""

    def __init__(self, base, specials="", plain="", bos=None, eos=None, stop=None):
        self.base, self.specials, self.plain, self.bos, self.eos = base, specials.split(), plain.split(), bos, eos
        self.stop = stop or eos  # what follows an answer


CHATML = {"base": "qwen2", "eos": "<|im_end|>"}
LLAMA3 = {"base": "llama3", "bos": "<|begin_of_text|>", "eos": "<|eot_id|>"}
DEEPSEEK = {
    "base": "llama3",
    "specials": "<｜begin▁of▁sentence｜> <｜end▁of▁sentence｜> <｜User｜> <｜Assistant｜>",
    "plain": "<think> </think> <｜tool▁calls▁begin｜> <｜tool▁call▁begin｜> <｜tool▁sep｜> <｜tool▁call▁end｜> "
    "<｜tool▁calls▁end｜> <｜tool▁outputs▁begin｜> <｜tool▁output▁begin｜> <｜tool▁output▁end｜> <｜tool▁outputs▁end｜>",
    "bos": "<｜begin▁of▁sentence｜>",
    "eos": "<｜end▁of▁sentence｜>",
}
MISTRAL = {"base": "mistral", "bos": "<s>", "eos": "</s>"}
GEMMA = {"base": "mistral", "specials": "<bos> <start_of_turn> <end_of_turn>", "bos": "<bos>", "eos": "</s>",
         "stop": "<end_of_turn>"}

FORMS = {
    "llama2": Form("llama2", bos="<s>", eos="</s>"),
    "llama3": Form(**LLAMA3),
    "llama3.1": Form(**LLAMA3, specials="<|python_tag|> <|eom_id|>"),
    "llama3.2": Form(**LLAMA3),
    "mistral-v1": Form("llama2", bos="<s>", eos="</s>"),
    "mistral-v3": Form(**MISTRAL, plain="[TOOL_CALLS] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS]"),
    "mistral-tekken": Form("llama3", "<s> </s> [INST] [/INST] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [IMG]", bos="<s>", eos="</s>"),
    "qwen2": Form(**CHATML),
    "qwen2.5": Form(**CHATML, plain="</tool_call>"),
    "qwen3": Form(**CHATML, plain="</tool_call> <tool_response> </tool_response> <think> </think>"),
    "chatml": Form(**CHATML),
    "chatml-system-in-variable": Form(**CHATML),
    "chatml-system-with-tools": Form(**CHATML),
    "chatml-strip": Form(**CHATML),
    "chatml-without-line-feeds": Form(**CHATML),
    "chatml-separator-token": Form(**CHATML, specials="<|im_sep|>"),
    "chatml-mapped-roles": Form(**CHATML),
    "chatml-literal-bos": Form("llama3", "<|im_start|>", "<|im_end|>", bos="<|begin_of_text|>", eos="<|im_end|>"),
    "chatml-thinking": Form(**CHATML, plain="<think> </think>"),
    "phi3": Form("llama2", plain="<|system|> <|user|> <|assistant|> <|end|> <|endoftext|>", bos="<s>", eos="<|endoftext|>",
                 stop="<|end|>"),
    "phi4": Form(**CHATML, specials="<|im_sep|>"),
    "phi4-mini": Form("qwen2", "<|system|> <|user|> <|assistant|> <|tool|> <|/tool|> <|end|>", eos="<|endoftext|>", stop="<|end|>"),
    "gemma2": Form(**GEMMA),
    "gemma3": Form(**GEMMA, plain="<start_of_image>"),
    "smollm2": Form(**CHATML),
    "smollm3": Form(**CHATML, plain="<think> </think>"),
    "olmo": Form("gpt2", eos="<|endoftext|>"),
    "olmo2": Form("gpt2", bos="<|endoftext|>", eos="<|endoftext|>"),
    "zephyr": Form("llama2", bos="<s>", eos="</s>"),
    "glm4": Form("qwen2", "[gMASK] <sop> <|system|> <|user|> <|assistant|> <|observation|>", eos="<|endoftext|>", stop="<|user|>"),
    "deepseek-v2": Form(**DEEPSEEK),
    "deepseek-v3": Form(**DEEPSEEK),
    "deepseek-r1": Form(**DEEPSEEK),
    "gpt-oss": Form("llama3", "<|start|> <|end|> <|message|> <|channel|> <|constrain|> <|return|> <|call|>", eos="<|return|>"),
    "command-r": Form("llama3", "<BOS_TOKEN> <|START_OF_TURN_TOKEN|> <|END_OF_TURN_TOKEN|> <|SYSTEM_TOKEN|> <|USER_TOKEN|> "
                      "<|CHATBOT_TOKEN|>", bos="<BOS_TOKEN>", eos="<|END_OF_TURN_TOKEN|>"),
}
FORMS["command-r-tool-use"] = FORMS["command-r"]


def template_of(name):
    return (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")


def trained(root):
    """The tokenizers that the forms are built on, as JSON."""
    natural = families.natural_bytes(root)
    sample = natural[:150_000] + natural[-150_000:]
    return {base: families.saved(families.FAMILIES[base](sample), False) for base in {form.base for form in FORMS.values()}}


def tokenizer_json(form, trained_json):
    tokenizer = Tokenizer.from_str(trained_json)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in form.specials])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in form.plain])
    return families.saved(tokenizer, False)


def write(name, trained_tokenizers, folder):
    """The files of a model in folder, and the tokenizer of Transformers over them."""
    form = FORMS[name]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tokenizer.json"
    path.write_text(tokenizer_json(form, trained_tokenizers[form.base]), encoding="utf-8")
    specials = {"eos_token": form.eos} | ({"bos_token": form.bos} if form.bos else {})
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template_of(name), **specials}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    reference = PreTrainedTokenizerFast(tokenizer_file=str(path), **specials)
    reference.chat_template = template_of(name)
    return reference
