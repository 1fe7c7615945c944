import type { Language } from "./languages.ts";

/** Colours of backgrounds, 0 to 255. Soft enough for every subject to stand out, and far apart. */
export const BACKGROUNDS = {
  white: [255, 255, 255],
  red: [229, 83, 75],
  orange: [245, 150, 60],
  yellow: [250, 220, 90],
  green: [90, 180, 100],
  turquoise: [80, 200, 195],
  "light blue": [150, 210, 245],
  blue: [70, 115, 220],
  purple: [150, 95, 200],
  pink: [250, 175, 200],
  brown: [150, 105, 75],
  gray: [160, 165, 170],
  black: [35, 35, 40],
} as const satisfies Readonly<Record<string, readonly [number, number, number]>>;

/** The English name of a background. */
export type Background = keyof typeof BACKGROUNDS;

/** The twelve coloured ones. */
export const COLOURED = (Object.keys(BACKGROUNDS) as Background[]).filter((name) => name !== "white");

/** "on a red background" in every language, in the order of `BACKGROUNDS`; `|` parts two spellings. */
export const BACKGROUND_WORDS: Readonly<
  Record<Language, { readonly phrase: string; readonly names: string }>
> = {
  en: {
    phrase: " on {} background",
    names:
      "a white,a red,an orange,a yellow,a green,a turquoise,a light blue,a blue,a purple,a pink,a brown,a gray|a grey,a black",
  },
  ru: {
    phrase: " на {} фоне",
    names:
      "белом,красном,оранжевом,жёлтом|желтом,зелёном|зеленом,бирюзовом,голубом,синем,фиолетовом,розовом,коричневом,сером,чёрном|черном",
  },
  de: {
    phrase: " auf {} Hintergrund",
    names:
      "weißem,rotem,orangefarbenem,gelbem,grünem,türkisfarbenem,hellblauem,blauem,violettem,rosa,braunem,grauem,schwarzem",
  },
  fr: {
    phrase: " sur fond {}",
    names: "blanc,rouge,orange,jaune,vert,turquoise,bleu clair,bleu,violet,rose,marron,gris,noir",
  },
  es: {
    phrase: " sobre fondo {}",
    names: "blanco,rojo,naranja,amarillo,verde,turquesa,azul claro,azul,morado,rosa,marrón,gris,negro",
  },
  it: {
    phrase: " su sfondo {}",
    names: "bianco,rosso,arancione,giallo,verde,turchese,azzurro,blu,viola,rosa,marrone,grigio,nero",
  },
  pt: {
    phrase: " em fundo {}",
    names: "branco,vermelho,laranja,amarelo,verde,turquesa,azul-claro,azul,roxo,rosa,marrom,cinza,preto",
  },
  pl: {
    phrase: " na {} tle",
    names:
      "białym,czerwonym,pomarańczowym,żółtym,zielonym,turkusowym,błękitnym,niebieskim,fioletowym,różowym,brązowym,szarym,czarnym",
  },
  uk: {
    phrase: " на {} тлі",
    names:
      "білому,червоному,помаранчевому,жовтому,зеленому,бірюзовому,блакитному,синьому,фіолетовому,рожевому,коричневому,сірому,чорному",
  },
  zh: {
    phrase: "，{}背景",
    names: "白色,红色,橙色,黄色,绿色,青绿色,浅蓝色,蓝色,紫色,粉色,棕色,灰色,黑色",
  },
  ja: {
    phrase: "、{}背景",
    names: "白い,赤い,オレンジ色の,黄色い,緑の,青緑の,水色の,青い,紫の,ピンクの,茶色の,灰色の,黒い",
  },
  ko: {
    phrase: ", {} 배경",
    names: "하얀,빨간,주황색,노란,초록색,청록색,하늘색,파란,보라색,분홍색,갈색,회색,검은",
  },
  hi: {
    phrase: ", {} पृष्ठभूमि पर",
    names: "सफ़ेद,लाल,नारंगी,पीली,हरी,फ़िरोज़ी,हल्की नीली,नीली,बैंगनी,गुलाबी,भूरी,धूसर,काली",
  },
  sv: {
    phrase: " på {} bakgrund",
    names: "vit,röd,orange,gul,grön,turkos,ljusblå,blå,lila,rosa,brun,grå,svart",
  },
  nl: {
    phrase: " op een {} achtergrond",
    names: "witte,rode,oranje,gele,groene,turquoise,lichtblauwe,blauwe,paarse,roze,bruine,grijze,zwarte",
  },
  da: {
    phrase: " på {} baggrund",
    names: "hvid,rød,orange,gul,grøn,turkis,lyseblå,blå,lilla,lyserød,brun,grå,sort",
  },
};
