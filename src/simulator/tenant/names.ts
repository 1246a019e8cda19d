// Raw material for believable people: names by culture, and jobs.

export type Culture = {
  language: string;
  /** Names; where the script is not Latin, `native|latin`. */
  given: readonly string[];
  surnames: readonly string[];
  /** Family name first, without a space. */
  familyFirst?: true;
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
