// Numbers for people, in the browser's own language. null is what does not exist for a case, such as a rate of growth from a loss to a profit.
const languages = [...navigator.languages];

const formatter = (options) => {
  const f = new Intl.NumberFormat(languages, options);
  return (n) => (n === null || n === undefined || !Number.isFinite(n) ? "–" : f.format(n));
};

export const price = formatter({ minimumFractionDigits: 3, maximumFractionDigits: 3 });
export const money = formatter({ minimumFractionDigits: 1, maximumFractionDigits: 1 }); // millions
export const number = formatter({ maximumFractionDigits: 4 });
export const count = formatter({ maximumFractionDigits: 0 });
export const percent = formatter({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 2 });
export const times = (n) => (n === null || n === undefined ? "–" : `${ratio(n)}×`);
const ratio = formatter({ minimumFractionDigits: 2, maximumFractionDigits: 2 });

const day = new Intl.DateTimeFormat(languages, { dateStyle: "medium", timeStyle: "short" });
export const when = (text) => day.format(new Date(text));

// The API speaks in decimals, people in percent. The point is moved in the text and not by arithmetic, which would make 7.000000000000001 of 0.07.
export const toPercent = (n) => (n === null || n === undefined ? null : Number(shifted(String(n), 2)));
export const fromPercent = (text) => Number(shifted(text, -2));

function shifted(text, places) {
  const [digits, exponent = "0"] = text.trim().toLowerCase().split("e");
  return digits === "" ? NaN : `${digits}e${Number(exponent) + places}`;
}
