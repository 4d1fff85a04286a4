//! The code by its definition: products of polynomials, a Vandermonde matrix, Gauss.

/// The product in GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1, bit by bit.
fn product(a: u8, b: u8) -> u8 {
    let (mut shifted, mut sum) = (u16::from(a), 0_u16);
    for bit in 0..8 {
        if b >> bit & 1 == 1 {
            sum ^= shifted;
        }
        shifted <<= 1;
        if shifted & 0x100 != 0 {
            shifted ^= 0x11d;
        }
    }
    sum as u8
}

fn power(base: u8, exponent: usize) -> u8 {
    (0..exponent).fold(1, |power, _| product(power, base))
}

fn inverse(a: u8) -> u8 {
    (1..=255).find(|b| product(a, *b) == 1).unwrap()
}

/// The matrix: row `r`, column `c` of Vandermonde's is r^c, times the inverse of its top.
fn matrix(needed: usize, all: usize) -> Vec<Vec<u8>> {
    let vandermonde: Vec<Vec<u8>> =
        (0..all).map(|row| (0..needed).map(|column| power(row as u8, column)).collect()).collect();
    let mut top: Vec<Vec<u8>> = vandermonde[..needed].to_vec();
    for (index, row) in top.iter_mut().enumerate() {
        row.extend((0..needed).map(|column| u8::from(column == index)));
    }
    for pivot in 0..needed {
        let swap = (pivot..needed).find(|row| top[*row][pivot] != 0).unwrap();
        top.swap(pivot, swap);
        let factor = inverse(top[pivot][pivot]);
        top[pivot].iter_mut().for_each(|value| *value = product(*value, factor));
        let pivot_row = top[pivot].clone();
        for (_, row) in top.iter_mut().enumerate().filter(|(index, _)| *index != pivot) {
            let factor = row[pivot];
            for (value, pivot) in row.iter_mut().zip(&pivot_row) {
                *value ^= product(*pivot, factor);
            }
        }
    }
    let sum = |row: &Vec<u8>, column: usize| {
        (0..needed).fold(0, |sum, index| sum ^ product(row[index], top[index][needed + column]))
    };
    vandermonde.iter().map(|row| (0..needed).map(|column| sum(row, column)).collect()).collect()
}

/// All fragments, unmasked, of a body that is cut into data fragments.
pub(crate) fn encode(data: &[Vec<u8>], all: usize) -> Vec<Vec<u8>> {
    let byte = |row: &Vec<u8>, place: usize| {
        row.iter().zip(data).fold(0, |sum, (factor, data)| sum ^ product(*factor, data[place]))
    };
    matrix(data.len(), all)
        .iter()
        .map(|row| (0..data[0].len()).map(|place| byte(row, place)).collect())
        .collect()
}
