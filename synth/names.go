package synth

import "bahi/domain"

// spelling is one name in the two scripts that Bihar writes it in.
type spelling struct{ latin, devanagari string }

func (s spelling) in(devanagari bool) string {
	if devanagari {
		return s.devanagari
	}
	return s.latin
}

// appendName appends the person's name. A family has one script, one faith and
// one surname; women often bear another second name.
func (p *people) appendName(b []byte, n uint32) []byte {
	n = p.original(n)
	family := p.hash(forFamily, p.family(n))
	own := p.hash(forName, n)
	devanagari := family%2 == 0
	muslim := family>>8%100 < 17
	pick := func(from []spelling, by uint64) string { return from[by%uint64(len(from))].in(devanagari) }
	woman := p.sex(n) == domain.Female

	given, surnames := hinduMen, hinduSurnames
	switch {
	case muslim && woman:
		given, surnames = muslimWomen, muslimSurnames
	case muslim:
		given, surnames = muslimMen, muslimSurnames
	case woman:
		given = hinduWomen
	}
	b = append(b, pick(given, own)...)
	b = append(b, ' ')
	switch chance := own >> 24 % 100; {
	case muslim && woman && chance < 80:
		return append(b, pick(muslimSecond, own>>32)...)
	case !muslim && woman && chance < 75:
		return append(b, pick(hinduSecond, own>>32)...)
	case !muslim && !woman && chance < 35:
		b = append(b, pick(middle, own>>32)...)
		b = append(b, ' ')
	}
	return append(b, pick(surnames, family>>16)...)
}

var hinduMen = []spelling{
	{"Ajay", "अजय"}, {"Amit", "अमित"}, {"Anil", "अनिल"}, {"Arun", "अरुण"}, {"Ashok", "अशोक"}, {"Awadhesh", "अवधेश"},
	{"Baidyanath", "बैद्यनाथ"}, {"Bhola", "भोला"}, {"Birendra", "बीरेन्द्र"}, {"Chandan", "चंदन"}, {"Deepak", "दीपक"},
	{"Dilip", "दिलीप"}, {"Dinesh", "दिनेश"}, {"Ganesh", "गणेश"}, {"Gopal", "गोपाल"}, {"Harendra", "हरेन्द्र"},
	{"Jitendra", "जितेन्द्र"}, {"Kamlesh", "कमलेश"}, {"Kishori", "किशोरी"}, {"Lalan", "ललन"}, {"Mahesh", "महेश"},
	{"Manoj", "मनोज"}, {"Mithilesh", "मिथिलेश"}, {"Mukesh", "मुकेश"}, {"Nagendra", "नागेन्द्र"}, {"Nand Kishor", "नंद किशोर"},
	{"Naresh", "नरेश"}, {"Nawal", "नवल"}, {"Niraj", "नीरज"}, {"Pankaj", "पंकज"}, {"Pappu", "पप्पू"}, {"Pramod", "प्रमोद"},
	{"Rajesh", "राजेश"}, {"Rajiv", "राजीव"}, {"Rakesh", "राकेश"}, {"Ram Babu", "राम बाबू"}, {"Ramesh", "रमेश"}, {"Ranjit", "रंजीत"},
	{"Ravi", "रवि"}, {"Sanjay", "संजय"}, {"Santosh", "संतोष"}, {"Satish", "सतीश"}, {"Shambhu", "शंभू"}, {"Shankar", "शंकर"},
	{"Shiv", "शिव"}, {"Shyam", "श्याम"}, {"Sudhir", "सुधीर"}, {"Sunil", "सुनील"}, {"Suresh", "सुरेश"}, {"Upendra", "उपेन्द्र"},
	{"Umesh", "उमेश"}, {"Vijay", "विजय"}, {"Vinod", "विनोद"}, {"Yogendra", "योगेन्द्र"},
}

var hinduWomen = []spelling{
	{"Anita", "अनीता"}, {"Anju", "अंजू"}, {"Archana", "अर्चना"}, {"Arti", "आरती"}, {"Asha", "आशा"}, {"Babita", "बबीता"},
	{"Bibha", "विभा"}, {"Chanchala", "चंचला"}, {"Chandrakala", "चंद्रकला"}, {"Gayatri", "गायत्री"}, {"Gita", "गीता"},
	{"Indu", "इंदु"}, {"Janki", "जानकी"}, {"Jyoti", "ज्योति"}, {"Kalawati", "कलावती"}, {"Kanchan", "कंचन"}, {"Kiran", "किरण"},
	{"Kusum", "कुसुम"}, {"Lalita", "ललिता"}, {"Laxmi", "लक्ष्मी"}, {"Madhuri", "माधुरी"}, {"Malti", "मालती"}, {"Mamta", "ममता"},
	{"Manju", "मंजू"}, {"Maya", "माया"}, {"Meena", "मीना"}, {"Munni", "मुन्नी"}, {"Neelam", "नीलम"}, {"Nisha", "निशा"},
	{"Phulo", "फूलो"}, {"Pinki", "पिंकी"}, {"Poonam", "पूनम"}, {"Pratima", "प्रतिमा"}, {"Priyanka", "प्रियंका"}, {"Puja", "पूजा"},
	{"Rambha", "रंभा"}, {"Ranju", "रंजू"}, {"Rekha", "रेखा"}, {"Rina", "रीना"}, {"Rinku", "रिंकू"}, {"Sangita", "संगीता"},
	{"Sarita", "सरिता"}, {"Savitri", "सावित्री"}, {"Shanti", "शांति"}, {"Shobha", "शोभा"}, {"Sita", "सीता"}, {"Sudha", "सुधा"},
	{"Sunita", "सुनीता"}, {"Sushila", "सुशीला"}, {"Urmila", "उर्मिला"}, {"Usha", "उषा"}, {"Vandana", "वंदना"},
}

var muslimMen = []spelling{
	{"Abdul", "अब्दुल"}, {"Aftab", "आफताब"}, {"Akbar", "अकबर"}, {"Anwar", "अनवर"}, {"Arif", "आरिफ"}, {"Asif", "आसिफ"},
	{"Firoz", "फिरोज"}, {"Gulam", "गुलाम"}, {"Imran", "इमरान"}, {"Iqbal", "इकबाल"}, {"Irfan", "इरफान"}, {"Jamal", "जमाल"},
	{"Md. Ali", "मो. अली"}, {"Md. Salim", "मो. सलीम"}, {"Mumtaz", "मुमताज"}, {"Nasir", "नासिर"}, {"Naushad", "नौशाद"},
	{"Nizam", "निजाम"}, {"Rahim", "रहीम"}, {"Rizwan", "रिजवान"}, {"Sajid", "साजिद"}, {"Shahid", "शाहिद"}, {"Shakil", "शकील"},
	{"Tabrez", "तबरेज"}, {"Wasim", "वसीम"}, {"Zakir", "जाकिर"},
}

var muslimWomen = []spelling{
	{"Afsana", "अफसाना"}, {"Amina", "अमीना"}, {"Anjum", "अंजुम"}, {"Asma", "अस्मा"}, {"Fatima", "फातिमा"}, {"Gulshan", "गुलशन"},
	{"Hasina", "हसीना"}, {"Jamila", "जमीला"}, {"Mehrun", "मेहरुन"}, {"Naima", "नईमा"}, {"Nasima", "नसीमा"}, {"Nazia", "नाजिया"},
	{"Nusrat", "नुसरत"}, {"Rabia", "राबिया"}, {"Roshan", "रोशन"}, {"Rukhsana", "रुखसाना"}, {"Sabina", "सबीना"}, {"Saira", "सायरा"},
	{"Salma", "सलमा"}, {"Shabana", "शबाना"}, {"Shabnam", "शबनम"}, {"Shahnaz", "शहनाज"}, {"Tabassum", "तबस्सुम"}, {"Zarina", "जरीना"},
}

var hinduSurnames = []spelling{
	{"Yadav", "यादव"}, {"Singh", "सिंह"}, {"Sah", "साह"}, {"Paswan", "पासवान"}, {"Ram", "राम"}, {"Mahto", "महतो"}, {"Rai", "राय"},
	{"Thakur", "ठाकुर"}, {"Jha", "झा"}, {"Mishra", "मिश्रा"}, {"Choudhary", "चौधरी"}, {"Prasad", "प्रसाद"}, {"Sahni", "सहनी"},
	{"Sharma", "शर्मा"}, {"Kumar", "कुमार"}, {"Gupta", "गुप्ता"}, {"Manjhi", "मांझी"}, {"Das", "दास"}, {"Pandey", "पांडेय"},
	{"Sinha", "सिन्हा"}, {"Bhagat", "भगत"}, {"Mandal", "मंडल"}, {"Patel", "पटेल"}, {"Pandit", "पंडित"}, {"Baitha", "बैठा"},
	{"Rajak", "रजक"}, {"Tiwari", "तिवारी"}, {"Ojha", "ओझा"}, {"Verma", "वर्मा"}, {"Kushwaha", "कुशवाहा"}, {"Srivastava", "श्रीवास्तव"},
}

var muslimSurnames = []spelling{
	{"Ansari", "अंसारी"}, {"Khan", "खान"}, {"Alam", "आलम"}, {"Hussain", "हुसैन"}, {"Ahmad", "अहमद"}, {"Mansuri", "मंसूरी"},
	{"Siddiqui", "सिद्दीकी"}, {"Rain", "राईन"}, {"Shah", "शाह"}, {"Idrisi", "इदरीसी"}, {"Haque", "हक"},
}

var (
	middle       = []spelling{{"Kumar", "कुमार"}, {"Kumar", "कुमार"}, {"Prasad", "प्रसाद"}, {"Nath", "नाथ"}, {"Lal", "लाल"}, {"Narayan", "नारायण"}}
	hinduSecond  = []spelling{{"Devi", "देवी"}, {"Devi", "देवी"}, {"Devi", "देवी"}, {"Kumari", "कुमारी"}, {"Kumari", "कुमारी"}}
	muslimSecond = []spelling{{"Khatoon", "खातून"}, {"Khatoon", "खातून"}, {"Parveen", "परवीन"}, {"Begum", "बेगम"}, {"Bano", "बानो"}}
)
