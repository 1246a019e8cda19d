// Raw material for believable people: names by culture, places with their address and phone habits, jobs.

export type Culture = {
  language: string;
  /** Names; where the script is not Latin, `native|latin`. */
  given: readonly string[];
  surnames: readonly string[];
  /** Family name first, without a space. */
  familyFirst?: true;
};

export type Place = {
  culture: string;
  country: string;
  code: string;
  city: string;
  state?: string;
  streets: readonly string[];
  /** `#` stands for a digit. */
  postal: string;
  landline: string;
  mobile: string;
  office: string;
};

const list = (text: string) => text.split(',').map((name) => name.trim());

export const cultures: Readonly<Record<string, Culture>> = {
  german: {
    language: 'de-DE',
    given: list('Jürgen, Käthe, Björn, Anja, Jörg, Sören, Ulrike, Hannah, Lukas, Götz, Friederike, Maximilian'),
    surnames: list('Müller, Weiß, Schröder, Krüger, Bäcker, Groß, von der Heide, Köhler, Schmidt-Lütz, Vogel, Yıldız'),
  },
  swiss: {
    language: 'de-CH',
    given: list('Ueli, Regula, Reto, Beat, Nadja, Urs, Céline, Livia, Gian-Andrea'),
    surnames: list('Zürcher, Brönnimann, Käppeli, Hürlimann, Baumgartner, Favre, Rüegg, Caduff'),
  },
  french: {
    language: 'fr-FR',
    given: list('Zoé, François, Anaïs, Jérôme, Maëlle, Benoît, Hélène, Jean-Baptiste, Océane, Loïc, Aïcha'),
    surnames: list("Lefèvre, D'Aubigné, Gauthier, L'Hôpital, Benoît, Périgord, Nguyễn, Mbaye, Beauséjour, Île"),
  },
  spanish: {
    language: 'es-ES',
    given: list('José, María, Íñigo, Begoña, Ángel, Nuria, Jesús, Lucía, Andrés, Montserrat'),
    surnames: list('Muñoz Peña, García, Núñez, Ibáñez, Echevarría, Domínguez Ortiz, Castaño, Ávila'),
  },
  portuguese: {
    language: 'pt-BR',
    given: list('João, Conceição, Inês, Thaís, Luís, Cecília, Antônio, Gonçalo'),
    surnames: list('Gonçalves, Araújo, Simões, Magalhães, dos Santos, Brandão, Conceição, Sá'),
  },
  irish: {
    language: 'en-IE',
    given: list('Siobhán, Seán, Niamh, Pádraig, Aoife, Caoimhe, Ciarán, Róisín'),
    surnames: list("O'Brien, O'Neill, Ní Dhomhnaill, Mac Giolla, Murphy, Ó Súilleabháin, McCarthy"),
  },
  english: {
    language: 'en-US',
    given: list('Olivia, DeShawn, Emma, Noah, Mary Ann, Charlotte, Ethan, Priya, Marcus, Zoë, Renée, Tyrone'),
    surnames: list("Smith, Johnson, O'Connor, Washington, Van Buren, Lee, McDonald, D'Angelo, Brown-Taylor, Ng, Patel"),
  },
  nordic: {
    language: 'nb-NO',
    given: list('Bjørn, Åse, Øyvind, Ingrid, Håkon, Sigríður, Mikael, Pärtti, Linnéa, Jørgen'),
    surnames: list('Ødegård, Åkesson, Nygård, Sæther, Björnsdóttir, Hämäläinen, Lindström, Kjærgaard, Þórsson'),
  },
  polish: {
    language: 'pl-PL',
    given: list('Łukasz, Agnieszka, Zbigniew, Żaneta, Małgorzata, Paweł, Grażyna, Stanisław'),
    surnames: list('Wałęsa, Kowalczyk, Łęcki, Brzęczyszczykiewicz, Wójcik, Zając, Dąbrowska, Świątek'),
  },
  czech: {
    language: 'cs-CZ',
    given: list('Jiří, Božena, Ondřej, Šárka, Tomáš, Ľubomír, Zdeněk, Kateřina'),
    surnames: list('Dvořák, Nováková, Černý, Procházka, Šťastný, Kučera, Říha, Ďurica'),
  },
  turkish: {
    language: 'tr-TR',
    given: list('Ayşe, İbrahim, Çağla, Oğuz, Şule, Gökhan, Işıl, Ümit'),
    surnames: list('Yılmaz, Öztürk, Çelik, Şahin, Doğan, Güneş, Kılıç, Aydın'),
  },
  vietnamese: {
    language: 'vi-VN',
    given: list('Thị Hương, Đức, Quỳnh, Tuấn, Ngọc Ánh, Phượng, Hữu Đạt'),
    surnames: list('Nguyễn, Trần, Lê, Phạm, Đặng, Võ, Bùi'),
  },
  indian: {
    language: 'en-IN',
    given: list('Aarav, Lakshmi, Rajesh, Ananya, Sri Devi, Vikram, Meenakshi, Arjun, Fatima'),
    surnames: list('Sharma, Venkataraman, Iyer, Singh, Chatterjee, Reddy, Khan, Nair, Subramaniam'),
  },
  nigerian: {
    language: 'en-NG',
    given: list('Chukwuemeka, Ọlájùmọ̀kẹ́, Ngozi, Adébáyọ̀, Zainab, Ifeoma, Tunde'),
    surnames: list('Okonkwo, Adéyẹmí, Nwosu, Ọládélé, Abubakar, Eze, Balogun'),
  },
  japanese: {
    language: 'ja-JP',
    familyFirst: true,
    given: list('太郎|Taro, 花子|Hanako, 健一|Kenichi, さくら|Sakura, 翔太|Shota, 美咲|Misaki, 陽菜|Hina'),
    surnames: list('山田|Yamada, 佐藤|Sato, 鈴木|Suzuki, 髙橋|Takahashi, 渡邊|Watanabe, 𠮷田|Yoshida'),
  },
  chinese: {
    language: 'zh-CN',
    familyFirst: true,
    given: list('伟|Wei, 秀英|Xiuying, 娜|Na, 志强|Zhiqiang, 婷婷|Tingting, 建华|Jianhua'),
    surnames: list('王|Wang, 李|Li, 张|Zhang, 欧阳|Ouyang, 陈|Chen, 吕|Lü'),
  },
  greek: {
    language: 'el-GR',
    given: list('Γιώργος|Giorgos, Ελένη|Eleni, Νίκος|Nikos, Αικατερίνη|Aikaterini, Δημήτρης|Dimitris'),
    surnames: list('Παπαδόπουλος|Papadopoulos, Οικονόμου|Oikonomou, Γεωργίου|Georgiou, Ψαρράς|Psarras'),
  },
  ukrainian: {
    language: 'uk-UA',
    given: list('Олександр|Oleksandr, Їлля|Yillia, Соломія|Solomiia, Наталія|Nataliia, Юрій|Yurii'),
    surnames: list('Шевченко|Shevchenko, Коваленко|Kovalenko, Ґудзь|Gudz, Лук’яненко|Lukianenko'),
  },
  arabic: {
    language: 'ar-AE',
    given: list('محمد|Mohammed, فاطمة|Fatima, عبد الله|Abdullah, ليلى|Layla, يوسف|Yousef'),
    surnames: list('المنصوري|Al Mansoori, الهاشمي|Al Hashimi, بن راشد|bin Rashid, خليل|Khalil'),
  },
};

export const places: readonly Place[] = [
  {
    culture: 'german',
    country: 'Germany',
    code: 'DE',
    city: 'München',
    state: 'Bayern',
    streets: list('Sendlinger Straße, Äußere Wiener Straße, Rosenheimer Platz'),
    postal: '80###',
    landline: '+49 89 ######',
    mobile: '+49 17# #######',
    office: 'MUC',
  },
  {
    culture: 'german',
    country: 'Germany',
    code: 'DE',
    city: 'Köln',
    state: 'Nordrhein-Westfalen',
    streets: list('Hohenzollernring, Große Budengasse'),
    postal: '50###',
    landline: '+49 221 ######',
    mobile: '+49 16# #######',
    office: 'CGN',
  },
  {
    culture: 'swiss',
    country: 'Schweiz',
    code: 'CH',
    city: 'Zürich',
    state: 'ZH',
    streets: list('Löwenstrasse, Bahnhofquai'),
    postal: '80##',
    landline: '+41 44 ### ## ##',
    mobile: '+41 79 ### ## ##',
    office: 'ZRH',
  },
  {
    culture: 'french',
    country: 'France',
    code: 'FR',
    city: 'Saint-Étienne',
    state: 'Loire',
    streets: list("rue de l'Abbé-de-l'Épée, cours Fauriel"),
    postal: '420##',
    landline: '+33 4 77 ## ## ##',
    mobile: '+33 6 ## ## ## ##',
    office: 'EBU',
  },
  {
    culture: 'spanish',
    country: 'España',
    code: 'ES',
    city: 'A Coruña',
    state: 'Galicia',
    streets: list('Calle del Príncipe, Praza de María Pita'),
    postal: '150##',
    landline: '+34 981 ### ###',
    mobile: '+34 6## ### ###',
    office: 'LCG',
  },
  {
    culture: 'portuguese',
    country: 'Brasil',
    code: 'BR',
    city: 'São Paulo',
    state: 'SP',
    streets: list('Avenida Paulista, Rua Augusta'),
    postal: '01###-###',
    landline: '+55 11 3###-####',
    mobile: '+55 11 9####-####',
    office: 'GRU',
  },
  {
    culture: 'irish',
    country: 'Ireland',
    code: 'IE',
    city: 'Dún Laoghaire',
    streets: list("George's Street Upper, Marine Road"),
    postal: 'A96 ##K#',
    landline: '+353 1 ### ####',
    mobile: '+353 87 ### ####',
    office: 'DUB',
  },
  {
    culture: 'english',
    country: 'United States',
    code: 'US',
    city: "Coeur d'Alene",
    state: 'ID',
    streets: list('Sherman Ave, N 4th St'),
    postal: '838##',
    landline: '+1 208 555 01##',
    mobile: '+1 208 555 01##',
    office: 'COE',
  },
  {
    culture: 'english',
    country: 'United States',
    code: 'US',
    city: 'Austin',
    state: 'TX',
    streets: list('Congress Ave, E 6th St, Burnet Rd'),
    postal: '787##',
    landline: '+1 512 555 01##',
    mobile: '+1 512 555 01##',
    office: 'AUS',
  },
  {
    culture: 'nordic',
    country: 'Norge',
    code: 'NO',
    city: 'Tromsø',
    streets: list('Storgata, Sjøgata'),
    postal: '90##',
    landline: '+47 77 ## ## ##',
    mobile: '+47 4## ## ###',
    office: 'TOS',
  },
  {
    culture: 'polish',
    country: 'Polska',
    code: 'PL',
    city: 'Łódź',
    state: 'łódzkie',
    streets: list('ul. Piotrkowska, al. Kościuszki'),
    postal: '90-###',
    landline: '+48 42 ### ## ##',
    mobile: '+48 60# ### ###',
    office: 'LCJ',
  },
  {
    culture: 'czech',
    country: 'Česko',
    code: 'CZ',
    city: 'Plzeň',
    streets: list('Náměstí Republiky, Sady Pětatřicátníků'),
    postal: '3## ##',
    landline: '+420 377 ### ###',
    mobile: '+420 60# ### ###',
    office: 'PLZ',
  },
  {
    culture: 'turkish',
    country: 'Türkiye',
    code: 'TR',
    city: 'İstanbul',
    streets: list('Bağdat Caddesi, İstiklal Caddesi'),
    postal: '34###',
    landline: '+90 216 ### ## ##',
    mobile: '+90 53# ### ## ##',
    office: 'IST',
  },
  {
    culture: 'vietnamese',
    country: 'Việt Nam',
    code: 'VN',
    city: 'Đà Nẵng',
    streets: list('Bạch Đằng, Nguyễn Văn Linh'),
    postal: '55####',
    landline: '+84 236 ### ####',
    mobile: '+84 90 ### ####',
    office: 'DAD',
  },
  {
    culture: 'indian',
    country: 'India',
    code: 'IN',
    city: 'Bengaluru',
    state: 'Karnataka',
    streets: list('MG Road, 80 Feet Road'),
    postal: '5600##',
    landline: '+91 80 #### ####',
    mobile: '+91 98### #####',
    office: 'BLR',
  },
  {
    culture: 'nigerian',
    country: 'Nigeria',
    code: 'NG',
    city: 'Lagos',
    streets: list('Adéọlá Odeku Street, Awolowo Road'),
    postal: '10####',
    landline: '+234 1 ### ####',
    mobile: '+234 80# ### ####',
    office: 'LOS',
  },
  {
    culture: 'japanese',
    country: '日本',
    code: 'JP',
    city: '東京',
    streets: list('丸の内1丁目, 神南2丁目'),
    postal: '1##-00##',
    landline: '+81 3 #### ####',
    mobile: '+81 90 #### ####',
    office: 'TYO',
  },
  {
    culture: 'chinese',
    country: '中国',
    code: 'CN',
    city: '上海',
    streets: list('南京西路, 淮海中路'),
    postal: '2000##',
    landline: '+86 21 #### ####',
    mobile: '+86 13# #### ####',
    office: 'SHA',
  },
  {
    culture: 'greek',
    country: 'Ελλάδα',
    code: 'GR',
    city: 'Θεσσαλονίκη',
    streets: list('Τσιμισκή, Εγνατία'),
    postal: '546 ##',
    landline: '+30 231 0######',
    mobile: '+30 69# ### ####',
    office: 'SKG',
  },
  {
    culture: 'ukrainian',
    country: 'Україна',
    code: 'UA',
    city: 'Львів',
    streets: list('вулиця Городоцька, площа Ринок'),
    postal: '790##',
    landline: '+380 32 ### ####',
    mobile: '+380 67 ### ####',
    office: 'LWO',
  },
  {
    culture: 'arabic',
    country: 'الإمارات',
    code: 'AE',
    city: 'دبي',
    streets: list('شارع الشيخ زايد, شارع المكتوم'),
    postal: '#####',
    landline: '+971 4 ### ####',
    mobile: '+971 50 ### ####',
    office: 'DXB',
  },
];

/** Departments with the job titles found in them. */
export const departments: Readonly<Record<string, readonly string[]>> = {
  Sales: list(
    'Account Executive, Sales Manager, Außendienstmitarbeiter, Inside Sales Representative, Key Account Manager',
  ),
  Marketing: list('Content Editor, Head of Marketing, Événementiel & Communication, SEO Specialist'),
  Engineering: list(
    'Software Engineer, Senior Software Engineer, Staff Engineer (Platform), QA Engineer, Ingénieur système',
  ),
  'Research & Development': list('Research Scientist, Laboratory Technician, Dr. rer. nat. – Projektleitung'),
  Finance: list('Accountant, Controller, Chief Financial Officer, Accounts Payable Clerk'),
  'Human Resources': list('HR Business Partner, Recruiter, Chef(fe) du personnel'),
  Legal: list('Counsel, Paralegal, Data Protection Officer'),
  'IT Operations': list('System Administrator, Service Desk Analyst, "Swiss Army Knife" / IT Generalist'),
  Support: list('Support Engineer, Customer Success Manager, Team Lead <Support>'),
  Produktion: list('Schichtleiter, Werkzeugmacher, Instandhaltung, Logistikplanerin'),
};
