//! The goods and their live prices.

use super::language::ShopLanguage;

/// A good.
#[derive(Debug)]
pub(super) struct Product {
    /// Its id in forms and live prices.
    pub(crate) id: &'static str,
    /// Its list price in cents.
    pub(crate) cents: u32,
    english: [&'static str; 2],
    german: [&'static str; 2],
}

impl Product {
    /// Its name.
    pub(crate) fn name(&self, language: ShopLanguage) -> &'static str {
        let [name, _] = self.words(language);
        name
    }

    /// One line about it.
    pub(crate) fn about(&self, language: ShopLanguage) -> &'static str {
        let [_, about] = self.words(language);
        about
    }

    fn words(&self, language: ShopLanguage) -> &[&'static str; 2] {
        match language {
            ShopLanguage::English => &self.english,
            ShopLanguage::German => &self.german,
        }
    }
}

/// The number of goods.
pub(super) const COUNT: usize = 6;

/// All goods.
pub(super) const PRODUCTS: [Product; COUNT] = [
    Product {
        id: "skull",
        cents: 3900,
        english: ["Skull of a jester", "Known well, or so they say. Plaster, hand-painted."],
        german: ["Schädel eines Narren", "Ein guter Bekannter, heißt es. Gips, handbemalt."],
    },
    Product {
        id: "bear",
        cents: 24900,
        english: ["Bear costume", "For hasty exits. Fits most pursuers."],
        german: ["Bärenkostüm", "Für eilige Abgänge. Passt den meisten Verfolgern."],
    },
    Product {
        id: "foil",
        cents: 8950,
        english: ["Fencing foil", "Blunt. The poison is not included."],
        german: ["Florett", "Stumpf. Gift ist nicht enthalten."],
    },
    Product {
        id: "donkey",
        cents: 12000,
        english: ["Donkey's head", "The ears move. Best seen by moonlight."],
        german: ["Eselskopf", "Die Ohren wackeln. Am schönsten bei Mondschein."],
    },
    Product {
        id: "cauldron",
        cents: 17500,
        english: ["Cauldron", "Seats three. Toil and trouble sold separately."],
        german: ["Hexenkessel", "Für drei Personen. Müh und Plage gesondert erhältlich."],
    },
    Product {
        id: "handkerchief",
        cents: 1250,
        english: ["Handkerchief with strawberries", "Do not lose it."],
        german: ["Taschentuch mit Erdbeeren", "Bitte nicht verlieren."],
    },
];

/// The position of a good in the list, by its id.
pub(super) fn position(id: &str) -> Option<usize> {
    PRODUCTS.iter().position(|good| good.id == id)
}

/// Every good with its price in cents at a tick: around the list price, up and down by at most a tenth, each in its
/// own rhythm. The same tick has the same prices.
pub(super) fn prices(tick: u64) -> impl Iterator<Item = (&'static str, u32)> {
    PRODUCTS.iter().zip(0..).map(move |(good, number)| (good.id, price(good.cents, number, tick)))
}

/// A triangle wave: from a tenth below to a tenth above and back.
fn price(cents: u32, number: u64, tick: u64) -> u32 {
    let half = 5 + number;
    let at = (tick % (2 * half) + 3 * number) % (2 * half);
    let height = half.abs_diff(at);
    let swing = u64::from(cents) / 10 * 2 * height / half;
    let lowest = cents - cents / 10;
    lowest + u32::try_from(swing).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_move_within_a_tenth_and_repeat() {
        let listed = |id: &str| PRODUCTS[position(id).unwrap()].cents;
        for tick in (0..200).chain([u64::MAX]) {
            for (id, cents) in prices(tick) {
                assert!(cents.abs_diff(listed(id)) <= listed(id) / 10, "{id} {tick} {cents}");
            }
        }
        assert!(prices(7).eq(prices(7)) && !prices(7).eq(prices(8)));
    }
}
