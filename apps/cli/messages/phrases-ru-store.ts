import type { Phrase } from "./phrases.ts";

/** What the model store says in errors, in Russian. */
export const STORE_PHRASES_RU: readonly Phrase[] = [
  // Names.
  ["there is no model of this name, and no such folder", "нет ни модели с таким именем, ни такой папки"],
  ["an empty store", "моделей пока нет"],
  ["get it with `{}`", "её скачает `{}`"],
  [
    "see `kandinsky models list`, or add one with `kandinsky models add`",
    "список покажет `kandinsky models list`, а добавит модель `kandinsky models add`",
  ],
  ["several models have this name", "такое имя у нескольких моделей"],
  ["give the full name", "назовите полное имя"],
  ["the model is not all there", "модель скачана не вся"],
  ["go on with `{}`", "продолжит `{}`"],
  ["the model is not where it was added from", "модели больше нет там, откуда её добавили"],
  ["put it back, or forget it with `{}`", "верните её на место или уберите из списка: `{}`"],
  [
    "this is no repository, and there is no such folder or file",
    "это не репозиторий, и такой папки или файла тоже нет",
  ],
  ["org/name, such as {}", "организация/имя, например {}"],
  ["this name cannot be used", "такое имя не подходит"],
  ["letters, digits, dots and dashes", "буквы, цифры, точки и дефисы"],
  ["choose another with --name", "выберите другое в --name"],
  ["another model has this name", "такое имя уже у другой модели"],
  ["choose another with --name, or remove that one", "выберите другое в --name или удалите ту модель"],
  ["a branch, tag or commit", "ветка, тег или коммит"],
  ["the model has no such weights", "таких весов у модели нет"],
  ["leave --variant out", "уберите --variant"],
  [
    "the model is there with other weights, which would be read instead",
    "модель уже есть с другими весами, и прочитаны были бы они",
  ],
  ["{} in {}", "{} в {}"],
  [
    "leave --variant out to use those, or remove the model first with `{}`",
    "уберите --variant, чтобы взять их, или сначала удалите модель: `{}`",
  ],
  [
    "a folder or file on this machine is registered as it is",
    "папка или файл на этом компьютере добавляются как есть",
  ],
  ["leave it out", "уберите это"],
  ["there is no such file or folder", "нет такого файла или папки"],
  ["cannot read the list of models", "список моделей не читается"],
  [
    "rename the file; models in the hub cache are found without it, others are to be added again",
    "переименуйте файл: модели в кэше хаба найдутся и без него, остальные добавьте заново",
  ],
  // Repositories.
  ["there is no Kandinsky 3 folder in this repository", "в этом репозитории нет папки Kandinsky 3"],
  ["add {}", "возьмите {}"],
  ["add the original, {}", "возьмите исходный, {}"],
  [
    "these are files of the original release: download them, then make a folder with `{}`",
    "это файлы первоначального выпуска: скачайте их и сделайте папку командой `{}`",
  ],
  ["the repository lacks a file of the model", "в репозитории не хватает файла модели"],
  ["a repository with all parts of a model", "репозиторий со всеми частями модели"],
  ["every shard that the index names", "все части, названные в индексе"],
  [
    "choose another revision or repository, such as {}",
    "выберите другую версию или репозиторий, например {}",
  ],
  ["the repository has no safetensors of this part", "в репозитории нет safetensors этой части"],
  [
    "take a repository with safetensors, or make them of `.bin` files that you have with `{}`",
    "возьмите репозиторий с safetensors или сделайте их из имеющихся файлов `.bin` командой `{}`",
  ],
  [
    "the repository has one content under two names: it is damaged",
    "в репозитории одно содержимое под двумя именами: он повреждён",
  ],
  ["{} and {} with the hash {}", "{} и {} с хешем {}"],
  ["the repository lists a file outside of its folder", "в списке репозитория есть файл вне его папки"],
  ["plain names of files and folders", "простые имена файлов и папок"],
  ["do not use this repository", "не пользуйтесь этим репозиторием"],
  // Hub.
  ["stopped; what came is kept", "остановлено; скачанное сохранено"],
  ["run the command again: it goes on where it was", "повторите команду: она продолжит с того же места"],
  [
    "run the command again later: it goes on where it was",
    "повторите команду позже: она продолжит с того же места",
  ],
  [
    "it asks to wait {} seconds: run the command again then, it goes on where it was",
    "он просит подождать {} с: потом повторите команду, она продолжит с того же места",
  ],
  ["cannot reach the hub", "хаб недоступен"],
  [
    "check the network and HF_ENDPOINT, then run the command again: it goes on where it was",
    "проверьте сеть и HF_ENDPOINT и повторите команду: она продолжит с того же места",
  ],
  ["the connection to the hub is cut again and again", "связь с хабом всё время обрывается"],
  ["the hub is busy", "хаб занят"],
  ["{}, too many requests", "{}, слишком много запросов"],
  ["the hub sends from one address to the next without end", "хаб без конца отсылает с адреса на адрес"],
  ["try again later", "попробуйте позже"],
  ["the hub sends to an address that is not safe", "хаб отсылает на небезопасный адрес"],
  ["no address", "не адрес"],
  ["check HF_ENDPOINT", "проверьте HF_ENDPOINT"],
  [
    "the owner of this model wants terms to be accepted first",
    "владелец модели требует сначала принять условия",
  ],
  [
    "accept them at {}, then set HF_TOKEN to a token of the same account",
    "примите их на {} и укажите в HF_TOKEN токен той же учётной записи",
  ],
  ["the model has no such revision", "такой версии у модели нет"],
  ["see the branches and tags at {}", "ветки и теги перечислены на {}"],
  ["the hub has nothing of this name", "в хабе ничего с таким именем нет"],
  [
    "check the name at {}; a private model needs HF_TOKEN",
    "проверьте имя на {}; для закрытой модели нужен HF_TOKEN",
  ],
  ["the hub wants to know who asks", "хаб хочет знать, кто спрашивает"],
  ["the hub does not accept the token for this model", "хаб не принимает этот токен для этой модели"],
  [
    "set HF_TOKEN to a token of an account that may read {} ({})",
    "укажите в HF_TOKEN токен учётной записи, которой можно читать {} ({})",
  ],
  ["the hub gives an answer that makes no sense", "ответ хаба не имеет смысла"],
  ["the hub's answer makes no sense", "ответ хаба не имеет смысла"],
  [
    "check HF_ENDPOINT, or what lies between: a login page?",
    "проверьте HF_ENDPOINT и то, что по пути: не страница ли это входа?",
  ],
  ["cannot use this address of a hub", "такой адрес хаба не подходит"],
  ["an address such as {}", "адрес вроде {}"],
  ["the token has characters that no token has", "в токене знаки, которых в токенах не бывает"],
  ["copy it again from the hub's settings page", "скопируйте его заново со страницы настроек хаба"],
  [
    "the model is not in the hub cache, and nothing may be downloaded",
    "модели нет в кэше хаба, а скачивать запрещено",
  ],
  ["no snapshot of {} at {} in {}", "нет снимка {} версии {} в {}"],
  ["unset HF_HUB_OFFLINE to download it", "чтобы скачать её, снимите HF_HUB_OFFLINE"],
  [
    "files of the model are damaged, and nothing may be downloaded",
    "файлы модели повреждены, а скачивать запрещено",
  ],
  ["unset HF_HUB_OFFLINE, then run the command again", "снимите HF_HUB_OFFLINE и повторите команду"],
  // Bytes.
  ["the file at the hub is not the one in its list", "файл в хабе не тот, что в его списке"],
  ["the file at the hub is shorter than its list says", "файл в хабе короче, чем сказано в его списке"],
  [
    "the downloaded bytes do not have the hash that the hub lists",
    "хеш скачанного не тот, что в списке хаба",
  ],
  [
    "run the command again; if it stays so, the repository or the server between is damaged",
    "повторите команду; если не поможет, повреждён репозиторий или сервер по пути",
  ],
  [
    "run the command again; if it stays so, the repository is damaged",
    "повторите команду; если не поможет, повреждён репозиторий",
  ],
  ["more bytes than the file has", "больше байтов, чем в файле"],
  ["cannot read the JSON file", "файл JSON не читается"],
  // Disk.
  ["the disk is full", "на диске нет места"],
  [
    "make room, then run the command again: it goes on where it was",
    "освободите место и повторите команду: она продолжит с того же места",
  ],
  ["the disk has too little room for the model", "на диске мало места для модели"],
  [
    "make room, or name a folder on another disk with HF_HOME",
    "освободите место или назовите в HF_HOME папку на другом диске",
  ],
  ["cannot write into the store", "записать в хранилище нельзя"],
  [
    "check the rights, or name another folder with HF_HOME or KANDINSKY_HOME",
    "проверьте права или назовите другую папку в HF_HOME или KANDINSKY_HOME",
  ],
  ["another process is working on this model", "с этой моделью сейчас работает другой процесс"],
  ["process {} on {}", "процесс {} на {}"],
  [
    "wait until it is done; if none is running, delete that file",
    "дождитесь его конца; если такого нет, удалите этот файл",
  ],
];
